"""What holds of every answer of the API, and two ways to ask for one."""

from http import HTTPStatus
from io import BytesIO

from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse

from tests.api_document import misfits
from tests.cast import V1, Answer, Api

LOGIN, REGISTER, ME, VERIFY = f"{V1}/auth/login", f"{V1}/auth/register", f"{V1}/users/me", f"{V1}/auth/verify-email"
JSON = "application/json"
ERROR = {"$ref": "#/components/schemas/Error"}
CREDENTIALS = b'{"email": "ada@example.org", "password": "correct-Horse-7-battery"}'
# Of the one thread that answers, so that a busy machine fails no test.
PROMPT_SECONDS = 2.0  # of CPU: what grows with the square of a body takes far longer


def assert_error(answer: Answer, status: HTTPStatus, *codes: str) -> None:
    """An error of this status, with these codes where they are given, in the one shape that errors have."""
    assert answer.status == status, answer.raw[:300]
    assert answer.headers["Content-Type"] == JSON
    assert answer.headers["Cache-Control"] == "no-store"
    assert misfits(ERROR, answer.body) == []
    assert answer.body["message"] == answer.body["errors"][0]["message"] != ""
    assert answer.body["meta"]["statusCode"] == status
    assert answer.body["meta"]["requestId"] == answer.headers["X-Request-ID"]
    assert int(answer.headers.get("Content-Length", len(answer.raw))) == len(answer.raw)
    if codes:
        assert answer.codes == list(codes)


def send(api: Api, body: bytes, path: str = LOGIN, content_type: str = JSON, **headers: str) -> Answer:
    """POST a body as it is."""
    return api.raw("POST", path, body, content_type, **headers)


def raw_wsgi(body: bytes | BytesIO, **environ: str) -> HttpResponse:
    """Call the service as a web server does, with an environ that Django's own client would not make."""
    handler = get_wsgi_application()
    request = WSGIRequest(
        {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": LOGIN,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "CONTENT_TYPE": JSON,
            "REMOTE_ADDR": "192.0.2.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body) if isinstance(body, bytes) else body,
            **environ,
        }
    )
    response = handler.get_response(request)
    assert isinstance(response, HttpResponse)
    return response

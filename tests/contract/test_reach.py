"""Who may reach the service, under which name, over what, and from which website."""

from http import HTTPStatus

import pytest
from pytest_django import Settings

from accounts.models import User
from tests.cast import V1, Answer, Api
from tests.envelope_rules import LOGIN, ME, assert_error, raw_wsgi

pytestmark = pytest.mark.django_db


class TestHosts:
    @pytest.mark.parametrize("path", [ME, "/api/v1/nothing", "/.well-known/jwks.json", f"{V1}/schema"])
    def test_another_host_is_refused(self, subtests: pytest.Subtests, api: Api, path: str) -> None:
        for host in ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "a b", "", "*"]:
            with subtests.test(host=host):
                answer = api.get(path, Host=host or "..")

                assert_error(answer, HTTPStatus.BAD_REQUEST, "invalid_format")
                assert answer.problems == {"Host": "invalid_format"}

    def test_another_host_is_refused_on_pages_too(self, api: Api) -> None:
        assert_error(api.get("/", Host="evil.example"), HTTPStatus.BAD_REQUEST, "invalid_format")

    def test_a_forwarded_host_changes_nothing(self, api: Api) -> None:
        assert api.get(ME, X_Forwarded_Host="evil.example").codes == ["not_authenticated"]

    @pytest.mark.parametrize("path", ["/healthz", "/readyz"])
    def test_probes_take_any(self, subtests: pytest.Subtests, api: Api, path: str) -> None:
        for host in ["evil.example", "10.0.0.7:8000", "a b"]:
            with subtests.test(host=host):
                assert api.get(path, Host=host).status == HTTPStatus.OK


@pytest.fixture
def secure(settings: Settings) -> Settings:
    """A deployment behind TLS."""
    settings.PUBLIC_URL = "https://auth.example.com"
    settings.SECURE_TRANSPORT = True
    return settings


class TestTransport:
    @pytest.mark.parametrize("path", [ME, "/api/users/me", "/api/v1/nothing", "/.well-known/jwks.json", f"{V1}/docs"])
    def test_plain_http_is_refused_not_redirected(self, secure: Settings, path: str) -> None:
        answer = Api().get(path)

        assert_error(answer, HTTPStatus.FORBIDDEN, "insecure_transport")
        assert "Location" not in answer.headers

    def test_a_password_sent_in_clear_is_not_looked_at(self, secure: Settings, alice: User) -> None:
        assert_error(Api().login(alice.email), HTTPStatus.FORBIDDEN, "insecure_transport")

    @pytest.mark.parametrize("path", ["/healthz", "/readyz"])
    def test_probes_come_from_inside(self, secure: Settings, path: str) -> None:
        assert Api().get(path).status == HTTPStatus.OK

    def test_tls_of_our_own_is_seen_and_remembered_by_browsers(self, secure: Settings) -> None:
        answer = raw_wsgi(b"", REQUEST_METHOD="GET", PATH_INFO=ME, **{"wsgi.url_scheme": "https"})

        assert answer.status_code == HTTPStatus.UNAUTHORIZED
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"

    def test_a_deployment_in_clear_promises_browsers_nothing(self, api: Api) -> None:
        assert "Strict-Transport-Security" not in api.get(ME).headers

    @pytest.mark.parametrize(
        ("proxies", "forwarded", "status"),
        [
            (0, "https", HTTPStatus.FORBIDDEN),
            (1, "https", HTTPStatus.UNAUTHORIZED),
            (1, "http", HTTPStatus.FORBIDDEN),
            (1, "", HTTPStatus.FORBIDDEN),
            (1, "https, http", HTTPStatus.FORBIDDEN),
            (1, "http, https", HTTPStatus.UNAUTHORIZED),
            (1, "HTTPS://", HTTPStatus.FORBIDDEN),
            (2, "https", HTTPStatus.UNAUTHORIZED),
        ],
    )
    def test_a_proxy_is_believed_only_where_there_is_one(
        self, secure: Settings, proxies: int, forwarded: str, status: HTTPStatus
    ) -> None:
        secure.TRUSTED_PROXIES = proxies

        assert Api().get(ME, X_Forwarded_Proto=forwarded).status == status

    def test_a_client_behind_a_proxy_cannot_claim_tls(self, secure: Settings) -> None:
        secure.TRUSTED_PROXIES = 1

        answer = raw_wsgi(b"", REQUEST_METHOD="GET", PATH_INFO=ME, **{"wsgi.url_scheme": "https"})

        assert answer.status_code == HTTPStatus.FORBIDDEN


ALLOWED = "https://app.example.com"
STRANGERS = [
    "https://evil.example",
    "null",
    "https://app.example.com.evil.example",
    "https://evil-app.example.com",
    "https://app.example.com:8443",
    "http://app.example.com",
    "https://APP.example.com.",
    "https://app.example.com@evil.example",
    "",
]


def cors_headers(answer: Answer) -> set[str]:
    return {name for name in answer.headers if name.lower().startswith("access-control-")}


class TestOtherOrigins:
    @pytest.mark.parametrize("origin", [ALLOWED, "null", "http://127.0.0.1:8000"])
    def test_none_may_read_by_default(self, api: Api, origin: str) -> None:
        preflight = api.raw("OPTIONS", LOGIN, Origin=origin, Access_Control_Request_Method="POST")

        assert cors_headers(api.get(ME, Origin=origin)) == set()
        assert cors_headers(preflight) == set()
        assert preflight.status == HTTPStatus.METHOD_NOT_ALLOWED

    def test_an_allowed_one_may_read_without_credentials(self, settings: Settings) -> None:
        settings.CORS_ALLOWED_ORIGINS = [ALLOWED]

        answer = Api().get(ME, Origin=ALLOWED)

        assert_error(answer, HTTPStatus.UNAUTHORIZED, "not_authenticated")
        assert answer.headers["access-control-allow-origin"] == ALLOWED
        assert "access-control-allow-credentials" not in answer.headers
        assert "origin" in answer.headers["Vary"]
        exposed = answer.headers["access-control-expose-headers"].lower()
        assert {"x-request-id", "api-version", "retry-after"} <= {name.strip() for name in exposed.split(",")}

    def test_its_preflight_works(self, settings: Settings) -> None:
        settings.CORS_ALLOWED_ORIGINS = [ALLOWED]
        asks = {
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization,content-type",
        }

        answer = Api().raw("OPTIONS", ME, b"", "", Origin=ALLOWED, **asks)

        assert answer.status == HTTPStatus.OK
        assert answer.headers["access-control-allow-origin"] == ALLOWED
        assert "PATCH" in answer.headers["access-control-allow-methods"]
        assert {"authorization", "content-type"} <= set(answer.headers["access-control-allow-headers"].split(", "))

    def test_every_other_one_may_not(self, subtests: pytest.Subtests, settings: Settings) -> None:
        for origin in STRANGERS:
            with subtests.test(origin=origin):
                settings.CORS_ALLOWED_ORIGINS = [ALLOWED]
                api = Api()

                answers = [
                    api.get(ME, Origin=origin),
                    api.raw("OPTIONS", ME, Origin=origin, Access_Control_Request_Method="GET"),
                ]

                assert [cors_headers(answer) for answer in answers] == [set(), set()]

    def test_pages_are_readable_by_none(self, settings: Settings) -> None:
        settings.CORS_ALLOWED_ORIGINS = [ALLOWED]

        assert cors_headers(Api().get("/", Origin=ALLOWED)) == set()

    def test_the_public_keys_are_readable_by_all(self, api: Api) -> None:
        assert api.get("/.well-known/jwks.json", Origin="null").headers["Access-Control-Allow-Origin"] == "*"

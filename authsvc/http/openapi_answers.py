"""The answers of the OpenAPI document: the envelope, and what every operation may refuse alike."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from rest_framework import exceptions as drf

from authsvc.errors import DomainError, ErrorCode, Problem, Unavailable
from authsvc.http.envelope import JSON
from authsvc.http.exceptions import FIELD_MESSAGES, INTERNAL, OF_DRF, BodyTooLarge
from authsvc.http.middleware import InsecureTransport, UnknownHost
from authsvc.http.openapi_texts import EXAMPLES, WHEN
from authsvc.http.openapi_types import Schema
from authsvc.http.parsing import NotAForm

HEADERS = {
    "API-Version": {
        "description": "The version that answered.",
        "required": True,
        "schema": {"type": "string", "const": "v1"},
        "example": "v1",
    },
    "Cache-Control": {
        "description": "How long any cache may keep this.",
        "required": True,
        "schema": {"type": "string"},
        "example": "public, max-age=300",
    },
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "WWW-Authenticate": {
        "description": "The challenge (RFC 6750).",
        "required": True,
        "schema": {"type": "string"},
        "example": 'Bearer realm="authsvc"',
    },
    "X-Request-ID": {
        "description": "The request's id: the one sent, where it was well-formed, else one of ours.",
        "required": True,
        "schema": {"type": "string", "minLength": 8, "maxLength": 128},
        "example": "019a3c5e-7b5d-7c3e-9a51-0a1b2c3d4e5f",
    },
}

OF_ALL = ("X-Request-ID",)
_OF_API = ("API-Version", *OF_ALL)
_HEADERS_OF_STATUS = {
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}
_SUCCESS = {
    HTTPStatus.OK: "Done.",
    HTTPStatus.CREATED: "Created.",
    HTTPStatus.ACCEPTED: "Accepted; whatever there is to do follows by mail.",
}
_MEANING = {
    HTTPStatus.BAD_REQUEST: "The request is not understood.",
    HTTPStatus.UNAUTHORIZED: "The call is not signed in, or its proof is not accepted.",
    HTTPStatus.FORBIDDEN: "Not allowed.",
    HTTPStatus.NOT_FOUND: "There is nothing here.",
    HTTPStatus.NOT_ACCEPTABLE: "Only `application/json` is spoken here.",
    HTTPStatus.CONFLICT: "The state of things stands against it.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is over 64 KiB.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not `application/json` in UTF-8.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The key belongs to another request.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong on our side.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Busy, or cut off from a part that this needs.",
}


def of_field(code: ErrorCode) -> Problem:
    """Return what is said of a field."""
    return Problem(code, FIELD_MESSAGES[code], "email")


def of_refusal(refusal: type[DomainError]) -> list[Problem]:
    """Return what a refusal of the domain can say."""
    return [Problem(code, refusal.message, refusal.field) for code in refusal.codes or (refusal.code,)]


# Which answers need no word of the operation's own, and what they say.
SHARED: Mapping[HTTPStatus, tuple[str, tuple[Problem, ...]]] = {
    HTTPStatus.BAD_REQUEST: ("BadRequest", (*of_refusal(UnknownHost),)),
    HTTPStatus.UNAUTHORIZED: ("Unauthorized", (OF_DRF[drf.NotAuthenticated], OF_DRF[drf.AuthenticationFailed])),
    HTTPStatus.FORBIDDEN: ("Forbidden", (*of_refusal(InsecureTransport),)),
    HTTPStatus.NOT_ACCEPTABLE: ("NotAcceptable", (OF_DRF[drf.NotAcceptable],)),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("BodyTooLarge", (*of_refusal(BodyTooLarge),)),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("UnsupportedMediaType", (OF_DRF[drf.UnsupportedMediaType],)),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("InternalError", (INTERNAL,)),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Unavailable", (*of_refusal(Unavailable),)),
}
ALWAYS = frozenset(SHARED) - {HTTPStatus.UNAUTHORIZED, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
NOT_SIGNED_IN = SHARED[HTTPStatus.UNAUTHORIZED][1]
INSECURE = SHARED[HTTPStatus.FORBIDDEN][1]

# What any body, and what any field may be refused for.
OF_FORM = (of_field(ErrorCode.DUPLICATE_FIELD),)
OF_JSON = (OF_DRF[drf.ParseError], *OF_FORM)
NOT_A_FORM = (OF_DRF[NotAForm],)
OF_NO_FIELD = (of_field(ErrorCode.UNKNOWN_FIELD), of_field(ErrorCode.INVALID_TYPE))
OF_PAGE = (
    *(Problem(code, FIELD_MESSAGES[code], "limit") for code in (ErrorCode.DUPLICATE_FIELD, ErrorCode.INVALID_TYPE)),
    Problem(ErrorCode.UNKNOWN_FIELD, FIELD_MESSAGES[ErrorCode.UNKNOWN_FIELD], "email"),
)
OF_FIELD = (
    *OF_NO_FIELD,
    of_field(ErrorCode.INVALID_FORMAT),
    of_field(ErrorCode.INVALID_CHARACTER),
    of_field(ErrorCode.TOO_LONG),
)


def success(status: int, schema: Schema) -> Schema:
    """Return the response object of what an operation gives."""
    return response(_SUCCESS[HTTPStatus(status)], schema, _OF_API)


def refusal(status: int, problems: Iterable[Problem], headers: Iterable[str] = _OF_API) -> Schema:
    """Return the response object of a refusal, with an example for each of its codes."""
    known = HTTPStatus(status)
    by_code = {problem.code.value: problem for problem in problems}
    description = f"{_MEANING[known]} Codes: {', '.join(f'`{code}`' for code in by_code)}."
    answer = response(description, ref("Error"), [*_HEADERS_OF_STATUS.get(known, ()), *headers])
    answer["content"][JSON]["examples"] = {
        code: {"value": _error_example(problem, known)} for code, problem in by_code.items()
    }
    return answer


def share_examples(responses: Iterable[Schema], examples: Schema) -> None:
    """Move the examples of refusals to `examples`, a reference in place of each: most of them recur."""
    for answer in responses:
        for media in answer.get("content", {}).values():
            for code, example in media.get("examples", {}).items():
                status, (problem, *_) = example["value"]["meta"]["statusCode"], example["value"]["errors"]
                name = "-".join(str(part) for part in (status, code, problem["field"]) if part)
                examples.setdefault(name, example)
                media["examples"][code] = {"$ref": f"#/components/examples/{name}"}


def shared_response(status: HTTPStatus) -> Schema:
    """Return the reference to a refusal that is the same for every operation."""
    return {"$ref": f"#/components/responses/{SHARED[status][0]}"}


def shared_responses() -> Schema:
    """Return the refusals that operations refer to."""
    return {name: refusal(status, problems) for status, (name, problems) in SHARED.items()}


def success_envelope(data: Schema, meta: Schema, pagination: Schema | None = None) -> Schema:
    """Return the schema of an answer that carries `data`; for a list `pagination` says which part of it that is."""
    part = {} if pagination is None else {"pagination": pagination}
    success = {"type": "boolean", "const": True}
    return _envelope("A success.", {"success": success, "data": data, **part, "meta": meta})


def error_envelope(entry: Schema, meta: Schema) -> Schema:
    """Return the schema of every error."""
    errors = {
        "type": "array",
        "minItems": 1,
        "items": entry,
        "description": "Everything that is wrong.",
    }
    success = {"type": "boolean", "const": False}
    return _envelope("A refusal or a failure.", {"success": success, "errors": errors, "meta": meta})


def _envelope(description: str, properties: Schema) -> Schema:
    properties = {"success": properties.pop("success"), "message": {"type": "string"}, **properties}
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def response(description: str, schema: Schema, headers: Iterable[str] = OF_ALL) -> Schema:
    """Return a response object. `headers` name those of the components."""
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {JSON: {"schema": schema}},
    }


def _error_example(problem: Problem, status: HTTPStatus) -> Schema:
    entry = _problem_example(problem)
    meta = {"timestamp": WHEN, "requestId": EXAMPLES["requestId"], "statusCode": int(status)}
    return {"success": False, "message": entry["message"], "errors": [entry], "meta": meta}


def _problem_example(problem: Problem) -> Schema:
    return {"code": problem.code.value, "field": problem.field, "message": str(problem.message)}


def ref(name: str) -> Schema:
    """Return the reference to a schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}

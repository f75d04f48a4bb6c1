"""The parts of the OpenAPI document that no single view declares: examples, shared answers, standards."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from rest_framework import exceptions as drf

from authsvc.errors import DomainError, ErrorCode, Problem, Unavailable
from authsvc.http.envelope import JSON
from authsvc.http.exceptions import FIELD_MESSAGES, INTERNAL, OF_DRF, BodyTooLarge
from authsvc.http.middleware import InsecureTransport, UnknownHost
from authsvc.http.openapi_types import Schema

DESCRIPTION = """\
Registration, sign-in and sessions, as a service of your own.

* Bodies are JSON (UTF-8, at most 64 KiB). Unknown fields and keys given twice are refused.
* Every answer has one envelope; an error has at least one entry in `errors`. Branch on its `code`: codes never
  change and are never translated, while `message` follows `Accept-Language` (en, de, es, fr).
* Every request has an id, in `meta.requestId` and the header `X-Request-ID`; a well-formed `X-Request-ID` of
  yours is kept.
* Times are ISO 8601 in UTC, ids are UUIDs.
* Sign in, then send `Authorization: Bearer <accessToken>`. Access tokens are JWTs (RFC 9068) that any service
  can verify with the keys of `/.well-known/jwks.json`.
"""

TAGS = [
    {"name": "registration", "description": "From a stranger to a verified account."},
    {"name": "sessions", "description": "Signing in, going on, signing out."},
    {"name": "account", "description": "The signed-in user."},
    {"name": "standards", "description": "Documents that other standards define; no envelope."},
    {"name": "health", "description": "Probes for whoever runs the service; no envelope."},
]
TAG_OF_PREFIX = {
    "/api/v1/auth/register": "registration",
    "/api/v1/auth/verify-email": "registration",
    "/api/v1/auth/": "sessions",
    "/api/v1/users/": "account",
}

ENUMERATIONS = {
    "code": "ErrorCode",
    "database": "CheckResult",
    "emailQueue": "CheckResult",
    "locale": "Locale",
    "redis": "CheckResult",
    "role": "Role",
    "status": "ReadinessStatus",
    "tokenType": "TokenType",
    "type": "DeviceType",
}

_ID = "019a3c5e-7b5d-7c3e-9a51-6f1d2c3b4a59"
_WHEN = "2026-11-24T09:30:00.123456Z"
_WORDS = "Done."

# By property, or by component and property where a name means two things.
EXAMPLES: Mapping[str, Any] = {
    "accessToken": "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IjAxOWEifQ.eyJzdWIiOiIwMTlhIn0.c2lnbmF0dXJl",
    "amr": ["pwd"],
    "browser": "Firefox",
    "createdAt": _WHEN,
    "current": True,
    "deviceName": "Ada's laptop",
    "Device.name": "Ada's laptop",
    "email": "ada@example.org",
    "expiresAt": "2026-12-01T09:30:00.123456Z",
    "expiresIn": 868,
    "field": "email",
    "id": _ID,
    "ip": "192.0.2.10",
    "isVerified": True,
    "lastActivity": _WHEN,
    "lastLoginAt": _WHEN,
    "message": _WORDS,
    "Problem.message": "This is required.",
    "Error.message": "This is required.",
    "mfaEnabled": False,
    "name": "Ada Lovelace",
    "os": "Linux",
    "password": "correct Horse 7 battery",
    "refreshExpiresIn": 604800,
    "refreshToken": "AZo8Xnt9fD6aUW8dLDtKWQAAAAB2-1oC7kq9XGg5mY3tJr0PzVvN4wQeHsLbUcRd8fKiT6aMnyp1q2r3s4t5u6v7",
    "requestId": "019a3c5e-7b5d-7c3e-9a51-0a1b2c3d4e5f",
    "statusCode": 400,
    "success": True,
    "Error.success": False,
    "timestamp": _WHEN,
    "token": "q3xk0JQnJpmJ2d0Yl7yN0m1sZc8n5vXw4bT6uR9eKfA",
    "alg": "ES256",
    "crv": "P-256",
    "kid": "bnwFyYKSZCZqIPiNjSMMGpkfHZ5pZfHkUQBZmJ7dTZo",
    "kty": "EC",
    "use": "sig",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "Liveness.status": "ok",
    "VerifyEmailInput": {"token": "q3xk0JQnJpmJ2d0Yl7yN0m1sZc8n5vXw4bT6uR9eKfA"},
    "CheckResult": "ok",
    "ErrorCode": "required",
    "Locale": "en",
    "ReadinessStatus": "ready",
    "Role": "user",
    "TokenType": "Bearer",
    "DeviceType": "desktop",
}

DESCRIPTIONS: Mapping[str, str] = {
    "accessToken": "JWT (RFC 9068) for the `Authorization` header.",
    "amr": "How the person proved who they are (RFC 8176).",
    "code": "What a client may branch on.",
    "current": "Whether this is the session of the call.",
    "deviceName": "What the owner calls this device; made from the user agent where it is missing.",
    "expiresIn": "Life of the access token, in seconds.",
    "field": "Where the problem is, as a dotted path; null where it is in no single field.",
    "isVerified": "Whether the address was proved.",
    "lastActivity": "When the session was last refreshed.",
    "lastLoginAt": "When the person last signed in; null before the first time.",
    "locale": "Language of mails.",
    "message": "For people, in their language.",
    "refreshExpiresIn": "Life of the refresh token, in seconds.",
    "refreshToken": "Opaque; works once. Each refresh returns its successor.",
    "requestId": "The same as the header `X-Request-ID`.",
    "token": "The token of the mailed link.",
}
PARAMETERS = {"token": DESCRIPTIONS["token"]}

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

_OF_ALL = ("X-Request-ID",)
_OF_API = ("API-Version", *_OF_ALL)
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
_SHARED: Mapping[HTTPStatus, tuple[str, tuple[Problem, ...]]] = {
    HTTPStatus.BAD_REQUEST: ("BadRequest", (*of_refusal(UnknownHost),)),
    HTTPStatus.UNAUTHORIZED: ("Unauthorized", (OF_DRF[drf.NotAuthenticated], OF_DRF[drf.AuthenticationFailed])),
    HTTPStatus.FORBIDDEN: ("Forbidden", (*of_refusal(InsecureTransport),)),
    HTTPStatus.NOT_ACCEPTABLE: ("NotAcceptable", (OF_DRF[drf.NotAcceptable],)),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("BodyTooLarge", (*of_refusal(BodyTooLarge),)),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("UnsupportedMediaType", (OF_DRF[drf.UnsupportedMediaType],)),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("InternalError", (INTERNAL,)),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Unavailable", (*of_refusal(Unavailable),)),
}
ALWAYS = frozenset(_SHARED) - {HTTPStatus.UNAUTHORIZED, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
NOT_SIGNED_IN = _SHARED[HTTPStatus.UNAUTHORIZED][1]
INSECURE = _SHARED[HTTPStatus.FORBIDDEN][1]

_OF_KEYS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_OF_PROBES = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.INTERNAL_SERVER_ERROR)
_PARTS = ("database", "redis", "emailQueue")
_JWK = {
    "kty": "Key type.",
    "crv": "Curve.",
    "x": "Coordinate.",
    "y": "Coordinate.",
    "kid": "The key's name, as in the header of a token (RFC 7638 thumbprint).",
    "alg": "The only algorithm that the key is used with.",
    "use": "What it is for.",
}

# What any body, and what any field may be refused for.
OF_BODY = (OF_DRF[drf.ParseError], Problem(ErrorCode.DUPLICATE_FIELD, FIELD_MESSAGES[ErrorCode.DUPLICATE_FIELD], "email"))
OF_FIELD = tuple(
    of_field(code)
    for code in (
        ErrorCode.UNKNOWN_FIELD,
        ErrorCode.INVALID_TYPE,
        ErrorCode.INVALID_FORMAT,
        ErrorCode.INVALID_CHARACTER,
        ErrorCode.TOO_LONG,
    )
)


def success(status: int, schema: Schema) -> Schema:
    """Return the response object of what an operation gives."""
    return _response(_SUCCESS[status], schema, _OF_API)


def refusal(status: int, problems: Iterable[Problem], headers: Iterable[str] = _OF_API) -> Schema:
    """Return the response object of a refusal, with an example for each of its codes."""
    known = HTTPStatus(status)
    by_code = {problem.code.value: problem for problem in problems}
    description = f"{_MEANING[known]} Codes: {', '.join(f'`{code}`' for code in by_code)}."
    response = _response(description, _ref("Error"), [*_HEADERS_OF_STATUS.get(known, ()), *headers])
    response["content"][JSON]["examples"] = {
        code: {"value": _error_example(problem, known)} for code, problem in by_code.items()
    }
    return response


def share_examples(responses: Iterable[Schema], examples: Schema) -> None:
    """Move the examples of refusals to `examples`, a reference in place of each: most of them recur."""
    for response in responses:
        for media in response.get("content", {}).values():
            for code, example in media.get("examples", {}).items():
                status, (problem, *_) = example["value"]["meta"]["statusCode"], example["value"]["errors"]
                name = "-".join(str(part) for part in (status, code, problem["field"]) if part)
                examples.setdefault(name, example)
                media["examples"][code] = {"$ref": f"#/components/examples/{name}"}


def shared_response(status: HTTPStatus) -> Schema:
    """Return the reference to a refusal that is the same for every operation."""
    return {"$ref": f"#/components/responses/{_SHARED[status][0]}"}


def shared_responses() -> Schema:
    """Return the refusals that operations refer to."""
    return {name: refusal(status, problems) for status, (name, problems) in _SHARED.items()}


def standard_schemas() -> Schema:
    """Return the components of what other standards define."""
    described = {name: {"type": "string", "description": text} for name, text in _JWK.items()}
    return {
        "JsonWebKey": {
            "type": "object",
            "description": "A public key for signatures (RFC 7517, RFC 7518).",
            "properties": described,
            "required": list(described),
            "additionalProperties": False,
        },
        "JsonWebKeySet": {
            "type": "object",
            "description": "The public keys that verify access tokens (RFC 7517).",
            "properties": {"keys": {"type": "array", "items": {"$ref": "#/components/schemas/JsonWebKey"}}},
            "required": ["keys"],
            "additionalProperties": False,
        },
        "Liveness": {
            "type": "object",
            "description": "The process answers.",
            "properties": {"status": {"type": "string", "const": "ok"}},
            "required": ["status"],
            "additionalProperties": False,
        },
        "Readiness": {
            "type": "object",
            "description": "Whether traffic may come, and what stands against it.",
            "properties": {
                "status": {"type": "string", "enum": ["ready", "not ready"]},
                "checks": {"$ref": "#/components/schemas/Checks"},
                "timestamp": {"type": "string", "format": "date-time"},
            },
            "required": ["status", "checks", "timestamp"],
            "additionalProperties": False,
        },
        "Checks": {
            "type": "object",
            "description": "The parts that this profile has; embedded mode has no Redis.",
            "properties": {name: {"type": "string", "enum": ["ok", "error"]} for name in _PARTS},
            "required": ["database", "emailQueue"],
            "additionalProperties": False,
        },
    }


def standard_paths() -> Schema:
    """Return the operations of what other standards define."""
    fine = {"status": "ready", "checks": dict.fromkeys(_PARTS, "ok"), "timestamp": _WHEN}
    cut_off = {**fine, "status": "not ready", "checks": {**fine["checks"], "database": "error"}}
    not_ready = _response("A part that traffic depends on does not answer.", _ref("Readiness"), _OF_ALL)
    not_ready["content"][JSON]["example"] = cut_off
    return {
        "/.well-known/jwks.json": _standard(
            "jwks",
            "standards",
            "Return the public signing keys",
            "Verify an access token with the key that its `kid` names, and with the algorithm of that key alone.",
            {
                "200": _response("The keys.", _ref("JsonWebKeySet"), ("Cache-Control", *_OF_ALL)),
                **_refusals(*_OF_KEYS),
            },
        ),
        "/healthz": _standard(
            "healthz",
            "health",
            "Tell that the process answers",
            "Asks nothing of any other part, so that no outage elsewhere restarts it. Takes any Host.",
            {"200": _response("It does.", _ref("Liveness"), _OF_ALL), **_refusals(*_OF_PROBES)},
        ),
        "/readyz": _standard(
            "readyz",
            "health",
            "Tell whether traffic may come",
            "Asks every part. 503 where one fails that `READINESS_GATES` names. Takes any Host.",
            {"200": _response("It may.", _ref("Readiness"), _OF_ALL), **_refusals(*_OF_PROBES), "503": not_ready},
        ),
    }


def success_envelope(data: Schema, meta: Schema) -> Schema:
    """Return the schema of an answer that carries `data`."""
    description = "A success."
    return _envelope(description, {"success": {"type": "boolean", "const": True}, "data": data, "meta": meta})


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


def give_examples(name: str, schema: Schema) -> None:
    """Put an example, and a description where there is one, on every property of a component, or on itself."""
    if name in EXAMPLES:
        schema["examples"] = [EXAMPLES[name]]
    for key, inner in schema.get("properties", {}).items():
        if key in DESCRIPTIONS:
            inner.setdefault("description", DESCRIPTIONS[key])
        if "$ref" in inner or "$ref" in inner.get("items", {}) or "examples" in inner:
            continue
        inner["examples"] = [None] if inner.get("type") == "null" else [_example(name, key)]


def example_of(schema: Schema, schemas: Mapping[str, Schema]) -> Any:
    """Return an example that fits a schema, made from those of its properties."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "examples" in schema:
        return schema["examples"][0]
    if schema["type"] == "array":
        return [example_of(schema["items"], schemas)]
    return {key: example_of(inner, schemas) for key, inner in schema["properties"].items()}


def _example(name: str, key: str) -> Any:
    return EXAMPLES[f"{name}.{key}"] if f"{name}.{key}" in EXAMPLES else EXAMPLES[key]


def _envelope(description: str, properties: Schema) -> Schema:
    properties = {"success": properties.pop("success"), "message": {"type": "string"}, **properties}
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _response(description: str, schema: Schema, headers: Iterable[str]) -> Schema:
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {JSON: {"schema": schema}},
    }


def _error_example(problem: Problem, status: HTTPStatus) -> Schema:
    entry = _problem_example(problem)
    meta = {"timestamp": _WHEN, "requestId": EXAMPLES["requestId"], "statusCode": int(status)}
    return {"success": False, "message": entry["message"], "errors": [entry], "meta": meta}


def _problem_example(problem: Problem) -> Schema:
    return {"code": problem.code.value, "field": problem.field, "message": str(problem.message)}


def _standard(operation_id: str, tag: str, summary: str, description: str, answers: Schema) -> Schema:
    return {
        "get": {
            "operationId": operation_id,
            "tags": [tag],
            "summary": summary,
            "description": description,
            "responses": answers,
        }
    }


def _refusals(*statuses: HTTPStatus) -> Schema:
    return {str(int(status)): refusal(status, _SHARED[status][1], _OF_ALL) for status in statuses}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}

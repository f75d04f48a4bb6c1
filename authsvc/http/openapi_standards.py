"""The operations of the OpenAPI document that other standards define: they have no envelope."""

from http import HTTPStatus

from authsvc.http.envelope import JSON
from authsvc.http.openapi_answers import OF_ALL, SHARED, ref, refusal, response
from authsvc.http.openapi_texts import WHEN
from authsvc.http.openapi_types import Schema

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


def schemas() -> Schema:
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


def paths() -> Schema:
    """Return the operations of what other standards define."""
    checks = {**dict.fromkeys(_PARTS, "ok"), "database": "error"}
    not_ready = response("A part that traffic depends on does not answer.", ref("Readiness"), OF_ALL)
    not_ready["content"][JSON]["example"] = {"status": "not ready", "checks": checks, "timestamp": WHEN}
    return {
        "/.well-known/jwks.json": _standard(
            "jwks",
            "standards",
            "Return the public signing keys",
            "Verify an access token with the key that its `kid` names, and with the algorithm of that key alone.",
            {
                "200": response("The keys.", ref("JsonWebKeySet"), ("Cache-Control", *OF_ALL)),
                **_refusals(*_OF_KEYS),
            },
        ),
        "/healthz": _standard(
            "healthz",
            "health",
            "Tell that the process answers",
            "Asks nothing of any other part, so that no outage elsewhere restarts it. Takes any Host.",
            {"200": response("It does.", ref("Liveness"), OF_ALL), **_refusals(*_OF_PROBES)},
        ),
        "/readyz": _standard(
            "readyz",
            "health",
            "Tell whether traffic may come",
            "Asks every part. 503 where one fails that `READINESS_GATES` names. Takes any Host.",
            {"200": response("It may.", ref("Readiness"), OF_ALL), **_refusals(*_OF_PROBES), "503": not_ready},
        ),
    }


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
    return {str(int(status)): refusal(status, SHARED[status][1], OF_ALL) for status in statuses}

"""The OpenAPI document, made from what each view declares, true to the envelope."""

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict
from uuid import UUID

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import extend_schema

from authsvc.errors import DomainError, ErrorCode
from authsvc.http.envelope import JSON, Meta, ProblemEntry
from authsvc.http.exceptions import STATUS_OF_KIND
from authsvc.http.serializers import Input

Schema = dict[str, Any]
View = TypeVar("View", bound=Callable[..., Any])

_PRIMITIVES: Mapping[object, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    UUID: {"type": "string", "format": "uuid"},
    datetime: {"type": "string", "format": "date-time"},
    types.NoneType: {"type": "null"},
}

# What any operation may answer, whatever it does.
_ALWAYS = {
    HTTPStatus.BAD_REQUEST: "The request is not understood.",
    HTTPStatus.FORBIDDEN: "Not allowed, or not over plain HTTP (`insecure_transport`).",
    HTTPStatus.NOT_ACCEPTABLE: "Only `application/json` is spoken here.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is over 64 KiB.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong on our side.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Busy or cut off; `Retry-After` says when to come back.",
}

_EXAMPLES = {
    "id": "019a3c5e-7b5d-7c3e-9a51-6f1d2c3b4a59",
    "name": "Ada Lovelace",
    "email": "ada@example.org",
    "password": "SecurePass123!",
    "token": "q3xk0JQnJpmJ2d0Yl7yN0m1sZc8n5vXw4bT6uR9eKfA",
    "createdAt": "2026-11-24T09:30:00Z",
    "deviceName": "Ada's laptop",
    "accessToken": "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLiJ9.e30.c2lnbmF0dXJl",
    "refreshToken": "AZo8Xnt9fD6aUW8dLDtKWQAAAAB2-1oC7kq9XGg5mY3tJr0PzVvN4wQeHsLbUcRd8fKiT6aMnyp1q2r3s4t5u6v7",
    "expiresIn": 868,
    "refreshExpiresIn": 604800,
    "message": "Done.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """What a view says of one of its methods."""

    gives: Any
    status: int
    fails_with: Sequence[type[DomainError]]
    body_required: bool
    bearer_optional: bool


def documented(
    operation_id: str,
    *,
    takes: type[Input] | None = None,
    query: type[Input] | None = None,
    gives: Any = None,
    status: int = 200,
    fails_with: Sequence[type[DomainError]] = (),
    body_required: bool = True,
    bearer_optional: bool = False,
) -> Callable[[View], View]:
    """Declare a view's method: body and query it takes, the `TypedDict` it gives, the refusals it knows."""

    def declare(method: View) -> View:
        method.operation = Operation(gives, status, fails_with, body_required, bearer_optional)  # type: ignore[attr-defined]
        return extend_schema(operation_id=operation_id, request=takes, parameters=[query] if query else None)(method)

    return declare


class EnvelopeSchema(AutoSchema):
    """Wraps what a view gives into the envelope and adds what every operation can answer."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Schema | None:
        """Return the operation object."""
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        if "requestBody" in operation:
            operation["requestBody"]["required"] = self._declared().body_required
        return dict(operation)

    def get_request_serializer(self) -> Any:
        """Return what the view declared; without a declaration there is no body."""
        return None

    def get_response_serializers(self) -> Any:
        """Return none: answers are made from types (`_get_response_bodies`)."""
        return None

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Return the security requirements."""
        if self._declared().bearer_optional:
            return [{"bearerAuth": []}, {}]
        return super().get_auth() if self.view.authentication_classes else []

    def _get_response_bodies(self, *_args: Any, **_kwargs: Any) -> dict[str, Schema]:
        operation = self._declared()
        name = getattr(operation.gives, "__name__", "Empty").removesuffix("Object")
        bodies = {str(operation.status): _answer("Success.", self._envelope(name, operation.gives))}
        error = self._error()
        for status, description in sorted(self._failures(operation).items()):
            bodies[str(int(status))] = _answer(description, error)
        return bodies

    def _declared(self) -> Operation:
        method = getattr(self.view, self.method.lower())
        operation: Operation = method.operation
        return operation

    def _failures(self, operation: Operation) -> dict[int, str]:
        failures: dict[int, str] = {int(status): text for status, text in _ALWAYS.items()}
        if self.method != "GET":
            failures[HTTPStatus.UNSUPPORTED_MEDIA_TYPE] = "The body is not `application/json`."
        if self.view.authentication_classes or operation.bearer_optional:
            failures[HTTPStatus.UNAUTHORIZED] = "`not_authenticated`, `invalid_token`"
        own: dict[int, list[str]] = {}
        for refusal in operation.fails_with:
            own.setdefault(STATUS_OF_KIND[refusal.kind], []).append(f"`{refusal.code}`")
        for status, codes in own.items():
            failures[status] = " ".join([failures.get(status, ""), ", ".join(codes)]).strip()
        return failures

    def _envelope(self, name: str, gives: Any) -> Schema:
        data = {"type": "null"} if gives is None else self._schema(gives)
        return self._component(
            f"{name}Envelope",
            {
                "type": "object",
                "properties": {
                    "success": {"type": "boolean", "const": True},
                    "message": {"type": "string"},
                    "data": data,
                    "meta": self._schema(Meta),
                },
                "required": ["success", "message", "data", "meta"],
            },
        )

    def _error(self) -> Schema:
        entry = self._schema(ProblemEntry)
        self.registry[("Problem", ResolvedComponent.SCHEMA)].schema["properties"]["code"] = {
            "type": "string",
            "enum": sorted(code.value for code in ErrorCode),
        }
        return self._component(
            "Error",
            {
                "type": "object",
                "properties": {
                    "success": {"type": "boolean", "const": False},
                    "message": {"type": "string"},
                    "errors": {"type": "array", "minItems": 1, "items": entry},
                    "meta": self._schema(Meta),
                },
                "required": ["success", "message", "errors", "meta"],
            },
        )

    def _component(self, name: str, schema: Schema) -> Schema:
        component = ResolvedComponent(name=name, type=ResolvedComponent.SCHEMA, schema=schema, object=name)
        self.registry.register_on_missing(component)
        return dict(component.ref)

    def _schema(self, hint: Any) -> Schema:
        """Return the schema of a type; a `TypedDict` becomes a component of its own."""
        if is_typeddict(hint):
            name = hint.__name__.removesuffix("Object").removesuffix("Entry")
            hints = get_type_hints(hint, include_extras=True)
            schema = {
                "type": "object",
                "description": (hint.__doc__ or "").strip(),
                "properties": {key: self._schema(inner) for key, inner in hints.items()},
                "required": sorted(hint.__required_keys__),
            }
            return self._component(name, schema)
        return _PRIMITIVES[hint].copy() if hint in _PRIMITIVES else self._composed(hint)

    def _composed(self, hint: Any) -> Schema:
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is Literal:
            return {"type": "string", "enum": list(arguments)}
        if origin is Annotated:
            return {**self._schema(arguments[0]), "format": arguments[1]}
        if origin is list:
            return {"type": "array", "items": self._schema(arguments[0])}
        if origin in (Union, types.UnionType):
            return _either([self._schema(argument) for argument in arguments])
        return self._schema(arguments[0])


def only_v1(endpoints: Iterable[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Keep the versioned routes: the others are their aliases, or not part of the API."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/v1/")]


def standard_documents(result: Schema, **_context: Any) -> Schema:
    """Add what other standards define, close the bodies, and put examples on the properties."""
    result["paths"].update(_STANDARD_PATHS)
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Input"):
            schema["additionalProperties"] = False
        for key, inner in schema.get("properties", {}).items():
            if key in _EXAMPLES and "$ref" not in inner and inner.get("type") != "null":
                inner.setdefault("examples", [_EXAMPLES[key]])
    return result


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {JSON: {"schema": schema}}}


def _either(options: list[Schema]) -> Schema:
    """Return a union; one of a plain type and null is the short form of OpenAPI 3.1."""
    plain = [option for option in options if option != {"type": "null"}]
    if len(plain) == 1 and "type" in plain[0]:
        return {**plain[0], "type": [plain[0]["type"], "null"]}
    return {"oneOf": options}


def _plain(operation_id: str, tag: str, description: str, schema: Schema, failure: str | None = None) -> Schema:
    responses = {"200": _answer(description, schema)}
    if failure is not None:
        responses["503"] = _answer(failure, schema)
    return {"get": {"operationId": operation_id, "tags": [tag], "summary": description, "responses": responses}}


_CHECK = {"type": "string", "enum": ["ok", "error"]}
_STANDARD_PATHS = {
    "/.well-known/jwks.json": _plain(
        "jwks",
        "standards",
        "The public keys that verify access tokens (RFC 7517).",
        {
            "type": "object",
            "properties": {"keys": {"type": "array", "items": {"type": "object", "additionalProperties": True}}},
            "required": ["keys"],
        },
    ),
    "/healthz": _plain(
        "healthz",
        "health",
        "The process is alive.",
        {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]},
    ),
    "/readyz": _plain(
        "readyz",
        "health",
        "The service is ready.",
        {
            "type": "object",
            "properties": {
                "status": {"type": "string", "enum": ["ready", "not ready"]},
                "checks": {"type": "object", "additionalProperties": _CHECK},
                "timestamp": {"type": "string", "format": "date-time"},
            },
            "required": ["status", "checks", "timestamp"],
        },
        "A part that traffic depends on does not answer.",
    ),
}

"""The OpenAPI document, made from what each view declares, true to the envelope."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar, get_args, get_origin

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.fields import CharField, ChoiceField

from authsvc.errors import DomainError, ErrorCode, Problem
from authsvc.http import openapi_answers as answers
from authsvc.http import openapi_standards as standards
from authsvc.http import openapi_texts as texts
from authsvc.http.envelope import JSON, ErrorMeta, Meta, PlainRenderer, ProblemEntry
from authsvc.http.exceptions import STATUS_OF_KIND
from authsvc.http.openapi_types import Schema, schema_of
from authsvc.http.pagination import PageQuery, Pagination
from authsvc.http.serializers import EmailField, Input, OpaqueField, PasswordField

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Operation:
    """What a view says of one of its methods."""

    takes: type[Input] | None
    query: type[Input] | None
    gives: Any
    status: int
    fails_with: Sequence[type[DomainError]]
    bearer_optional: bool


def documented(
    operation_id: str,
    *,
    takes: type[Input] | None = None,
    query: type[Input] | None = None,
    gives: Any = None,
    status: int = 200,
    fails_with: Sequence[type[DomainError]] = (),
    bearer_optional: bool = False,
    headers: Sequence[OpenApiParameter] = (),
) -> Callable[[View], View]:
    """Declare a view's method: body, query and headers it takes, the `TypedDict` it gives, the refusals it knows."""

    def declare(method: View) -> View:
        method.operation = Operation(  # type: ignore[attr-defined]
            takes, query, gives, status, fails_with, bearer_optional
        )
        parameters: list[Any] = [*([query] if query else []), *headers]
        return extend_schema(operation_id=operation_id, request=takes, parameters=parameters or None)(method)

    return declare


class EnvelopeSchema(AutoSchema):
    """Wraps what a view gives into the envelope and adds what every operation can answer."""

    def get_summary(self) -> str:
        """Return the first sentence of the method's docstring."""
        return self._sentences()[0].removesuffix(".")

    def get_description(self) -> str:  # type: ignore[override]
        """Return the rest of the docstring, or all of it where there is one sentence alone."""
        first, rest = self._sentences()
        return rest or first

    def get_tags(self) -> list[str]:
        """Return the group that the path belongs to."""
        return [next(tag for prefix, tag in texts.TAG_OF_PREFIX.items() if self.path.startswith(prefix))]

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

    def _sentences(self) -> tuple[str, str]:
        text = inspect.cleandoc(getattr(self.view, self.method.lower()).__doc__)
        first, _end, rest = text.partition("\n\n")
        if not rest:
            first, rest = re.fullmatch(r"(.+?\.)(?:\s+(.+))?", text, re.DOTALL).groups("")  # type: ignore[union-attr]
        return " ".join(first.split()), rest

    def _get_serializer_name(self, serializer: Any, *_args: Any, **_kwargs: Any) -> str:
        """Return the class's own name: an `Input` is never an answer, so nothing has to tell the two apart."""
        return type(serializer).__name__

    def _map_serializer(self, serializer: Any, *args: Any, **kwargs: Any) -> Schema:
        mapped: Schema = super()._map_serializer(serializer, *args, **kwargs)  # type: ignore[no-untyped-call]
        return {**mapped, "additionalProperties": False}

    def _map_serializer_field(self, field: Any, *args: Any, **kwargs: Any) -> Any:
        """Add what only our own fields know of themselves."""
        schema = super()._map_serializer_field(field, *args, **kwargs)  # type: ignore[no-untyped-call]
        match field:
            case EmailField():
                return {**schema, "format": "email"}
            case PasswordField():
                shortest = {} if field.allow_blank else {"minLength": 1}
                return {"type": "string", "format": "password", **shortest, "writeOnly": True}
            case OpaqueField():
                return {**schema, "pattern": r"^[\x20-\x7e]+$", "writeOnly": True}
            case ChoiceField():
                return {"type": "string", "enum": list(field.choices)}
        return schema

    def _insert_field_validators(self, field: Any, schema: Schema) -> None:
        """Leave passwords alone: an empty one, where it is taken, is no second form of them."""
        if not isinstance(field, PasswordField):
            super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]

    def _get_response_bodies(self, *_args: Any, **_kwargs: Any) -> dict[str, Schema]:
        operation = self._declared()
        gives = self._schema(operation.gives) if self._is_plain() else self._envelope(operation.gives)
        bodies = {operation.status: answers.success(operation.status, gives)}
        self._error()
        own = self._own_refusals(operation)
        shared = self._shared_refusals(operation)
        for status in own.keys() | shared.keys():
            bodies[status] = (
                answers.refusal(status, own[status]) if status in own else answers.shared_response(shared[status])
            )
        return {str(status): bodies[status] for status in sorted(bodies)}

    def _declared(self) -> Operation:
        method = getattr(self.view, self.method.lower())
        operation: Operation = method.operation
        return operation

    def _shared_refusals(self, operation: Operation) -> dict[int, HTTPStatus]:
        """Return the refusals that say nothing of this operation in particular."""
        statuses = set(answers.ALWAYS)
        if self.method != "GET":
            statuses.add(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if self.view.authentication_classes:
            statuses.add(HTTPStatus.UNAUTHORIZED)
        return {int(status): status for status in statuses}

    def _own_refusals(self, operation: Operation) -> dict[int, list[Problem]]:
        """Return what is wrong by status, where it differs from what every operation may answer."""
        problems: dict[int, list[Problem]] = {}
        if operation.query or self.method != "GET":
            problems[HTTPStatus.BAD_REQUEST] = self._input_problems(operation)
        if self._is_form():
            problems[HTTPStatus.UNSUPPORTED_MEDIA_TYPE] = list(answers.NOT_A_FORM)
        if operation.bearer_optional:
            problems[HTTPStatus.UNAUTHORIZED] = list(answers.NOT_SIGNED_IN)
        for refusal in operation.fails_with:
            problems.setdefault(STATUS_OF_KIND[refusal.kind], []).extend(answers.of_refusal(refusal))
        if HTTPStatus.FORBIDDEN in problems:
            problems[HTTPStatus.FORBIDDEN].extend(answers.INSECURE)
        return problems

    def _input_problems(self, operation: Operation) -> list[Problem]:
        if operation.query is not None and issubclass(operation.query, PageQuery):
            return list(answers.OF_PAGE)
        declared = operation.takes or operation.query or Input
        fields = declared().fields.values()
        of_body = () if self.method == "GET" else answers.OF_FORM if self._is_form() else answers.OF_JSON
        problems = [*of_body, *(answers.OF_FIELD if fields else answers.OF_NO_FIELD)]
        if declared.demands or any(field.required for field in fields):
            problems.append(answers.of_field(ErrorCode.REQUIRED))
        if any(isinstance(field, CharField) and not field.allow_blank for field in fields):
            problems.append(answers.of_field(ErrorCode.TOO_SHORT))
        return problems

    def _is_form(self) -> bool:
        return any(parser.media_type != JSON for parser in self.view.parser_classes)

    def _is_plain(self) -> bool:
        return PlainRenderer in self.view.renderer_classes

    def _envelope(self, gives: Any) -> Schema:
        is_list = get_origin(gives) is list
        name = getattr(get_args(gives)[0] if is_list else gives, "__name__", "Empty").removesuffix("Object")
        data = {"type": "null"} if gives is None else self._schema(gives)
        pagination = self._schema(Pagination) if is_list else None
        envelope = answers.success_envelope(data, self._schema(Meta), pagination)
        return self._component(f"{name}ListEnvelope" if is_list else f"{name}Envelope", envelope)

    def _error(self) -> None:
        entry = self._schema(ProblemEntry)
        problem = self.registry[("Problem", ResolvedComponent.SCHEMA)].schema
        problem["properties"]["code"] = {"type": "string", "enum": sorted(code.value for code in ErrorCode)}
        self._component("Error", answers.error_envelope(entry, self._schema(ErrorMeta)))

    def _schema(self, hint: Any) -> Schema:
        return schema_of(hint, self._component)

    def _component(self, name: str, schema: Schema) -> Schema:
        component = ResolvedComponent(  # type: ignore[no-untyped-call]
            name=name, type=ResolvedComponent.SCHEMA, schema=schema, object=name
        )
        self.registry.register_on_missing(component)
        return dict(component.ref)


def only_v1(endpoints: Iterable[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Keep the versioned routes: the others are their aliases, or not part of the API."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/v1/")]


def complete(result: Schema, **_context: Any) -> Schema:
    """Add what other standards define, the parts that operations share, and an example of everything."""
    result["info"]["description"] = texts.DESCRIPTION
    result["tags"] = texts.TAGS
    result["paths"].update(standards.paths())
    components = result["components"]
    components["headers"] = answers.HEADERS
    components["responses"] = answers.shared_responses()
    components["examples"] = {}
    answers.share_examples(components["responses"].values(), components["examples"])
    schemas = components["schemas"]
    schemas.update(standards.schemas())
    _name_enumerations(schemas)
    for name, schema in schemas.items():
        texts.give_examples(name, schema)
    for path in result["paths"].values():
        for operation in path.values():
            _show(operation, schemas)
            answers.share_examples(operation["responses"].values(), components["examples"])
    return result


def _name_enumerations(schemas: Schema) -> None:
    """Make every closed list of values a component of its own, named by the property that holds it."""
    for schema in list(schemas.values()):
        for key, inner in schema.get("properties", {}).items():
            if "enum" not in inner:
                continue
            name = texts.ENUMERATIONS[key]
            if schemas.setdefault(name, inner)["enum"] != inner["enum"]:
                raise ValueError(f"{name} has two meanings")
            schema["properties"][key] = {"$ref": f"#/components/schemas/{name}"}


def _show(operation: Schema, schemas: Mapping[str, Schema]) -> None:
    """Put a whole example beside the schema of a body and of a success."""
    for parameter in operation.get("parameters", ()):
        parameter["example"] = texts.EXAMPLES[parameter["name"]]
        parameter["description"] = texts.PARAMETERS[parameter["name"]]
    shown = [operation["requestBody"]] if "requestBody" in operation else []
    shown += [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    for carrier in shown:
        for media in carrier["content"].values():
            media.setdefault("example", texts.example_of(media["schema"], schemas))

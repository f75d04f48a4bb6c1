"""The envelope around every answer of the API. Views return data; only this module wraps it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict, cast

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response

from authsvc.errors import Problem

JSON = "application/json"
CHALLENGE = 'Bearer realm="authsvc"'
SIGNATURE_CHALLENGE = 'Signature realm="authsvc"'
_ORJSON_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC
_DONE = _("Done.")


class ProblemEntry(TypedDict):
    """One entry of `errors`."""

    code: str
    field: str | None
    message: str


class Meta(TypedDict):
    """What every answer says of itself."""

    timestamp: datetime
    requestId: str


class ErrorMeta(Meta):
    """What every error says of itself."""

    statusCode: int


class EnvelopeRenderer(BaseRenderer):
    """Wraps a view's data as a success."""

    media_type = JSON
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: object,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body; an error was wrapped by the exception handler and passes as it is."""
        context = renderer_context or {}
        response = cast(Response, context["response"])
        if response.exception:
            return dump(data)
        pagination = getattr(response, "pagination", None)
        return dump(
            {
                "success": True,
                "message": str(getattr(response, "message", _DONE)),
                "data": data,
                **({"pagination": pagination} if pagination else {}),
                "meta": meta(context["request"]),
            }
        )


class PlainRenderer(EnvelopeRenderer):
    """Answers what another standard defines: a success has that standard's form, an error the envelope."""

    def render(
        self,
        data: object,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body as it is."""
        return dump(data)


def meta(request: HttpRequest) -> Meta:
    """Return `meta` of a success."""
    return {"timestamp": datetime.now(UTC), "requestId": getattr(request, "request_id", "")}


def error_body(request: HttpRequest, *, status: int, problems: Iterable[Problem]) -> dict[str, Any]:
    """Return the body of an error. The message is that of the first problem."""
    entries: list[ProblemEntry] = [
        {"code": problem.code.value, "field": problem.field, "message": str(problem.message)} for problem in problems
    ]
    return {
        "success": False,
        "message": entries[0]["message"],
        "errors": entries,
        "meta": {**meta(request), "statusCode": status},
    }


def error_response(
    request: HttpRequest, *, status: int, problems: Iterable[Problem], headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Answer with an error outside of a view: unknown paths, refused hosts, failures."""
    body = dump(error_body(request, status=status, problems=problems))
    return HttpResponse(
        body, status=status, content_type=JSON, headers={"Cache-Control": "no-store", **(headers or {})}
    )


def dump(data: object) -> bytes:
    """Serialise to JSON: UUIDs as text, times as ISO 8601 in UTC."""
    return orjson.dumps(data, option=_ORJSON_OPTIONS)

"""Serves the OpenAPI document."""

from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """Answer the document, as YAML where the client asks for that, else as JSON."""
    yaml = "yaml" in request.headers.get("Accept", "")
    body = _rendered(yaml=yaml)
    media_type = "application/yaml" if yaml else "application/vnd.oai.openapi+json"
    return HttpResponse(
        body, content_type=media_type, headers={"Cache-Control": "public, max-age=300", "Vary": "Accept"}
    )


@cache
def _rendered(*, yaml: bool) -> bytes:
    renderer = OpenApiYamlRenderer() if yaml else OpenApiJsonRenderer()
    with translation.override(settings.LANGUAGE_CODE):  # not that of whoever happens to ask first
        document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return bytes(renderer.render(document, renderer_context={}))

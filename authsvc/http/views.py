"""The base of every view of the API."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rest_framework.exceptions import NotAcceptable
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from authsvc.errors import Text
from authsvc.http.envelope import CHALLENGE, JSON, EnvelopeRenderer
from authsvc.http.pagination import Pagination
from authsvc.http.parsing import DuplicateField, field_name
from authsvc.http.serializers import Input

if TYPE_CHECKING:
    from accounts.models import User

_JSON_ACCEPTED = ("", "*/*", JSON, "application/*")


class ApiView(APIView):
    """Parses, makes one domain call, answers. Signed-in users only, unless a view says otherwise."""

    http_method_names: ClassVar[list[str]] = ["get", "head", "post", "patch", "delete"]  # type: ignore[misc]
    permission_classes: Any = (IsAuthenticated,)
    renderer_classes: Any = (EnvelopeRenderer,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a method that does not exist before asking who calls."""
        if (request.method or "") not in self.allowed_methods:
            self.http_method_not_allowed(request)
        super().initial(request, *args, **kwargs)

    def validated(self, takes: type[Input], body: object = None) -> dict[str, Any]:
        """Return the body, or another mapping, as keyword arguments for a service.

        Raises DRF's `ValidationError` with everything that is wrong.
        """
        given = self.request.data if body is None else body
        if isinstance(given, Mapping):
            return dict(_reader(takes).run_validation(given))
        refused = takes(data=given)
        refused.is_valid(raise_exception=True)
        return dict(refused.validated_data)

    def queried(self, takes: type[Input]) -> dict[str, Any]:
        """Return the query as keyword arguments for a service. Raises `DuplicateField`, and what `validated` raises."""
        for name, values in self.request.query_params.lists():
            if len(values) > 1:
                raise DuplicateField(field=field_name(name))
        return self.validated(takes, self.request.query_params.dict())

    @property
    def caller(self) -> "User":
        """Return who is signed in; only for views that nobody else may call."""
        return cast("User", self.request.user)

    def done(
        self, message: Text, data: object = None, *, status: int = 200, pagination: Pagination | None = None
    ) -> Response:
        """Answer with a message and what the operation returns; a list says which part of it this is."""
        response = Response(data, status=status)
        response.message = message  # type: ignore[attr-defined]
        response.pagination = pagination  # type: ignore[attr-defined]
        return response

    def get_authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401, also where a view itself asks who calls: DRF would make that a 403."""
        return CHALLENGE

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:  # noqa: FBT001, FBT002 - DRF's signature
        """Answer JSON, which is all there is, without ranking what the client might like better."""
        accepted = request.META.get("HTTP_ACCEPT", "")
        if force or accepted in _JSON_ACCEPTED or any(_allows_json(part) for part in accepted.split(",")):
            return self.renderer_classes[0](), JSON
        raise NotAcceptable

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Return none: `Allow` belongs to 405, and one representation varies by nothing."""
        return {}


@cache
def _reader(takes: type[Input]) -> Input:
    """Return one instance for all requests: making one copies every field, and reading changes none of it."""
    return takes()


def _allows_json(part: str) -> bool:
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    return media_type in _JSON_ACCEPTED[1:] and "q=0" not in parameters

"""Bearer authentication (RFC 6750): the token is verified, then its session is looked up."""

from typing import TYPE_CHECKING

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from authsvc.http.envelope import CHALLENGE
from authsvc.tokens import selectors
from authsvc.tokens.models import Session
from authsvc.tokens.services import access
from authsvc.tokens.services.access import InvalidToken

if TYPE_CHECKING:
    from accounts.models import User


class BearerAuthentication(BaseAuthentication):
    """Sets `request.user` and, as `request.auth`, the live session of an access token."""

    def authenticate(self, request: Request) -> "tuple[User, Session] | None":
        """Return who calls; nothing without an `Authorization` header. Raises `InvalidToken`."""
        token = bearer_token(request)
        if token is None:
            return None
        claims = access.verify(token)
        session = selectors.signed_in_session(session_id=claims.session_id, user_id=claims.user_id)
        if session is None:
            raise InvalidToken
        return session.user, session

    def authenticate_header(self, _request: Request) -> str:
        """Return the challenge that goes with every 401."""
        return CHALLENGE


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document names it."""

    target_class = BearerAuthentication
    name = "bearerAuth"

    def get_security_definition(self, _auto_schema: object) -> dict[str, str]:
        """Return the security scheme object."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def bearer_token(request: Request) -> str | None:
    """Return the token of the `Authorization` header. Raises `InvalidToken` where it is no bearer token."""
    header = request.META.get("HTTP_AUTHORIZATION")
    if header is None:
        return None
    scheme, _space, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token or not token.isascii() or " " in token:
        raise InvalidToken
    return str(token)

"""Who calls: a person with a bearer token (RFC 6750), or a service with a signature (RFC 9421)."""

from typing import TYPE_CHECKING, cast

from django.conf import settings
from django.http import HttpRequest
from django.utils.encoding import escape_uri_path
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from authsvc.http.envelope import CHALLENGE, SIGNATURE_CHALLENGE
from authsvc.http.origin import origin_of
from authsvc.tokens import activity, selectors
from authsvc.tokens.models import ServiceClient, ServiceClientKey, Session
from authsvc.tokens.services import access, signatures
from authsvc.tokens.services.access import InvalidToken
from authsvc.tokens.services.signatures import SignedRequest

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
        activity.touch(session)
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


class ServiceClientAuthentication(BaseAuthentication):
    """Sets `request.user` to the service client that signed the request and `request.auth` to its key."""

    def authenticate(self, request: Request) -> tuple[ServiceClient, ServiceClientKey]:
        """Return who signed. Raises `InvalidSignature`, also where there is no signature: nobody else may call."""
        wire: HttpRequest = request._request  # noqa: SLF001 - the body as it came, before anything parses it
        key = signatures.verify(_signed(wire), origin=origin_of(wire))
        return key.client, key

    def authenticate_header(self, _request: Request) -> str:
        """Return the challenge that goes with every 401."""
        return SIGNATURE_CHALLENGE


class SignatureScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document names it; its own kinds of schemes have none for signatures."""

    target_class = ServiceClientAuthentication
    name = "messageSignature"

    def get_security_definition(self, _auto_schema: object) -> dict[str, str]:
        """Return the security scheme object."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Signature",
            "description": (
                "A signature (RFC 9421) by a key of a service client, labelled `sig1`, over `@method`, `@target-uri` "
                "(on the origin of the service's public address) and `content-digest` (RFC 9530, `sha-256`), with the "
                "parameters `created`, `keyid` and `nonce`; the headers `Signature-Input` and `Content-Digest` belong "
                "to it. It is good for five minutes, each nonce once."
            ),
        }


def _signed(request: HttpRequest) -> SignedRequest:
    query = request.META.get("QUERY_STRING", "")
    return SignedRequest(
        method=request.method or "",
        url=settings.PUBLIC_URL + escape_uri_path(request.path) + (f"?{query}" if query else ""),
        content_digest=request.META.get("HTTP_CONTENT_DIGEST", ""),
        signature_input=request.META.get("HTTP_SIGNATURE_INPUT", ""),
        signature=request.META.get("HTTP_SIGNATURE", ""),
        body=request.body,
    )


def calling_session(request: Request) -> Session:
    """Return the session of whoever is signed in; only for views that nobody else may call."""
    return cast("Session", request.auth)


def bearer_token(request: Request) -> str | None:
    """Return the token of the `Authorization` header. Raises `InvalidToken` where it is no bearer token."""
    header = request.META.get("HTTP_AUTHORIZATION")
    if header is None:
        return None
    scheme, _space, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token or not token.isascii() or " " in token:
        raise InvalidToken
    return str(token)

"""What service clients ask and do about tokens (RFC 7662, RFC 7009)."""

from typing import Any, cast

from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response

from authsvc.http.envelope import PlainRenderer
from authsvc.http.openapi import documented
from authsvc.http.origin import origin_of
from authsvc.http.parsing import NotAForm, StrictFormParser
from authsvc.http.serializers import Input
from authsvc.http.views import ApiView
from authsvc.tokens.api.serializers import IntrospectionObject, RevocationObject
from authsvc.tokens.authentication import ServiceClientAuthentication
from authsvc.tokens.models import ServiceClient
from authsvc.tokens.services import introspection
from authsvc.tokens.services.signatures import InvalidSignature


class AnyTextField(serializers.CharField):
    """Whatever somebody presented as a token: a string of no token's form is a question like any other."""

    def __init__(self, **options: Any) -> None:
        """Take every character."""
        super().__init__(trim_whitespace=False, **options)
        self.validators = []


class TokenForm(Input):
    """The token in question. The hint is taken and not needed: the two kinds differ in form."""

    token = AnyTextField()
    token_type_hint = AnyTextField(required=False)


_PARAMETERS = frozenset(TokenForm().fields)


class MachineView(ApiView):
    """Takes a form from a service client that signed it, and answers as the standard says."""

    authentication_classes = (ServiceClientAuthentication,)
    parser_classes = (StrictFormParser,)
    renderer_classes = (PlainRenderer,)

    def token(self) -> str:
        """Return the token of the form; parameters that no RFC names are ignored (RFC 6749, section 3.1).

        Raises `NotAForm`, and what `validated` raises.
        """
        try:
            given = cast("dict[str, str]", self.request.data)
            known = {name: value for name, value in given.items() if name in _PARAMETERS}
            return str(self.validated(TokenForm, known)["token"])
        except UnsupportedMediaType as reason:
            raise NotAForm(self.request.content_type) from reason


class IntrospectView(MachineView):
    """Tells what a token is worth at this moment."""

    @documented("introspect", takes=TokenForm, gives=IntrospectionObject, fails_with=[InvalidSignature])
    def post(self, _request: Request) -> Response:
        """Tell whether a token is live, and what it says (RFC 7662).

        A token that is over, revoked, somebody else's or none at all gives `active: false` and
        nothing more. Look at `token_type` too: only a `Bearer` token opens anything. Asking changes
        nothing; keep an answer for no longer than a revocation may take.
        """
        says = introspection.introspect(self.token())
        return Response({"active": False} if says is None else {"active": True, **says})


class RevokeView(MachineView):
    """Ends what a token belongs to."""

    @documented("revoke", takes=TokenForm, gives=RevocationObject, fails_with=[InvalidSignature])
    def post(self, request: Request) -> Response:
        """End the session that a token belongs to, and so all its tokens (RFC 7009).

        Access and refresh tokens alike. 200 also for a token that is over or unknown. Safe to repeat.
        """
        introspection.revoke(self.token(), client=cast("ServiceClient", request.user), origin=origin_of(request))
        return Response({})

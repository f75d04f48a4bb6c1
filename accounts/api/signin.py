"""Signing in."""

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.serializers import LoginInput
from accounts.services import signin
from accounts.services.signin import EmailNotVerified, InvalidCredentials
from authsvc.http.openapi import documented
from authsvc.http.origin import origin_of
from authsvc.http.views import ApiView
from authsvc.tokens.api.serializers import TokensObject, tokens_object


class LoginView(ApiView):
    """Starts a session by password."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        "login",
        takes=LoginInput,
        gives=TokensObject,
        fails_with=[InvalidCredentials, EmailNotVerified],
    )
    def post(self, request: Request) -> Response:
        """Sign in by address and password.

        A wrong password and an unknown, inactive or unverified account give the same 401.
        """
        data = self.validated(LoginInput)
        issued = signin.sign_in(
            email=data["email"],
            password=data["password"],
            device_name=data.get("device_name", ""),
            origin=origin_of(request),
        )
        return self.done(_("Signed in."), tokens_object(issued))

"""Signing in."""

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.serializers import LoginInput, ReauthenticateInput, StepUpObject
from accounts.services import reauthentication, signin
from accounts.services.reauthentication import PasswordIncorrect
from accounts.services.signin import EmailNotVerified, InvalidCredentials
from authsvc.http.openapi import documented
from authsvc.http.origin import origin_of
from authsvc.http.views import ApiView
from authsvc.tokens.api.serializers import TokensObject, tokens_object
from authsvc.tokens.authentication import calling_session
from authsvc.tokens.services.known_devices import Presented


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
            device=Presented(data.get("device_name", ""), data.get("device_token")),
            origin=origin_of(request),
        )
        return self.done(_("Signed in."), tokens_object(issued))


class ReauthenticateView(ApiView):
    """Takes a fresh proof of who is signed in."""

    @documented("reauthenticate", takes=ReauthenticateInput, gives=StepUpObject, fails_with=[PasswordIncorrect])
    def post(self, request: Request) -> Response:
        """Prove again who you are, for what takes a fresh proof.

        It counts for this session alone, for `STEP_UP_SECONDS`. Signing in is such a proof too; a
        refresh is none.
        """
        password = self.validated(ReauthenticateInput)["password"]
        until = reauthentication.by_password(
            user=self.caller, session=calling_session(request), password=password, origin=origin_of(request)
        )
        proof: StepUpObject = {"reauthenticatedUntil": until}
        return self.done(_("You have proved who you are."), proof)

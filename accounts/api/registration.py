"""Registration and the proof of an address."""

from functools import partial

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.serializers import (
    EmailInput,
    RegisterInput,
    UserObject,
    VerifyEmailInput,
    VerifyEmailQuery,
    user_object,
)
from accounts.services import registration, verification
from accounts.services.links import InvalidLink
from accounts.services.password_rules import WeakPassword
from accounts.services.registration import EmailTaken
from accounts.services.verification import PasswordRequired
from authsvc.http.openapi import documented
from authsvc.http.origin import origin_of
from authsvc.http.views import ApiView
from authsvc.idempotency import requests as idempotency


class RegisterView(ApiView):
    """Opens an account."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        "register",
        takes=RegisterInput,
        gives=UserObject,
        status=201,
        fails_with=[WeakPassword, EmailTaken, *idempotency.REFUSALS],
        headers=[idempotency.HEADER],
    )
    def post(self, request: Request) -> Response:
        """Register and mail a verification link.

        A taken address gets the same answer, and its owner a mail that says so; with
        `REGISTRATION_NEUTRAL=false` it is 409 `email_taken`. Rely on the `id` only after verification.
        """
        data = self.validated(RegisterInput)
        register = partial(registration.register, **data, locale=get_language() or "en", origin=origin_of(request))
        shown = idempotency.once(request, body=data, deed=register, show=user_object)
        return self.done(_("Registered. A mail with a link is on its way."), shown, status=201)


class VerifyEmailView(ApiView):
    """Proves an address by the link that was mailed to it."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        "verify_email_by_link",
        query=VerifyEmailQuery,
        gives=UserObject,
        fails_with=[InvalidLink, PasswordRequired],
    )
    def get(self, request: Request) -> Response:
        """Verify an address. A second use within 24 hours answers the same and changes nothing."""
        return self._verify(request, **self.queried(VerifyEmailQuery))

    def head(self, request: Request) -> Response:
        """Tell whether a link is good, and verify nothing: HEAD is how scanners look at links."""
        person = verification.peek_verification(**self.queried(VerifyEmailQuery))
        return self.done(_("Your address is verified."), user_object(person))

    @documented(
        "verify_email",
        takes=VerifyEmailInput,
        gives=UserObject,
        fails_with=[InvalidLink, PasswordRequired, WeakPassword],
    )
    def post(self, request: Request) -> Response:
        """Verify an address.

        Where it was registered more than once with different passwords, none of them counts and
        `password` sets the one that does; without it the answer is 400 `required`.
        """
        return self._verify(request, **self.validated(VerifyEmailInput))

    def _verify(self, request: Request, *, token: str, password: str | None = None) -> Response:
        user = verification.verify_email(token=token, password=password, origin=origin_of(request))
        return self.done(_("Your address is verified."), user_object(user))


class ResendVerificationView(ApiView):
    """Mails another verification link."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented("resend_verification", takes=EmailInput, status=202)
    def post(self, request: Request) -> Response:
        """Mail a new verification link.

        It goes only to an address that waits for one; the answer is always the same.
        """
        verification.resend_verification(**self.validated(EmailInput), origin=origin_of(request))
        return self.done(_("If the address waits for verification, a link is on its way."), status=202)

"""Setting another password."""

from functools import partial

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.serializers import ChangePasswordInput, EmailInput, ResetPasswordInput
from accounts.services import passwords
from accounts.services.links import InvalidLink
from accounts.services.password_rules import WeakPassword
from accounts.services.passwords import CurrentPasswordIncorrect
from authsvc.http.openapi import documented
from authsvc.http.origin import origin_of
from authsvc.http.views import ApiView
from authsvc.idempotency import requests as idempotency
from authsvc.tokens.authentication import calling_session


class ForgotPasswordView(ApiView):
    """Mails a link that sets a new password."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        "forgot_password",
        takes=EmailInput,
        status=202,
        fails_with=idempotency.REFUSALS,
        headers=[idempotency.HEADER],
    )
    def post(self, request: Request) -> Response:
        """Mail a link that sets a new password.

        It goes only to an address that has an account; the answer is always the same. The link works
        once, within an hour; only the newest one does.
        """
        data = self.validated(EmailInput)
        request_reset = partial(passwords.request_reset, **data, origin=origin_of(request))
        idempotency.once(request, body=data, deed=request_reset, show=idempotency.no_data)
        return self.done(_("If the address has an account, a link is on its way."), status=202)


class ResetPasswordView(ApiView):
    """Sets a new password by the link that was mailed."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented("reset_password", takes=ResetPasswordInput, fails_with=[InvalidLink, WeakPassword])
    def post(self, request: Request) -> Response:
        """Set a new password by a mailed link.

        Ends every session, forgets all known devices and signs nobody in. The link proves the address,
        so an unverified account is verified. A refused password leaves the link usable.
        """
        passwords.reset_password(**self.validated(ResetPasswordInput), origin=origin_of(request))
        return self.done(_("Your password was changed. Sign in with the new one."))


class ChangePasswordView(ApiView):
    """Sets a new password for whoever is signed in."""

    @documented("change_password", takes=ChangePasswordInput, fails_with=[CurrentPasswordIncorrect, WeakPassword])
    def post(self, request: Request) -> Response:
        """Set a new password.

        Ends all other sessions and forgets all other known devices. The calling session goes on with
        its tokens; its device stays known, and is asked for the second factor again.
        """
        passwords.change_password(
            user=self.caller,
            session=calling_session(request),
            **self.validated(ChangePasswordInput),
            origin=origin_of(request),
        )
        return self.done(_("Your password was changed. All other devices were signed out."))

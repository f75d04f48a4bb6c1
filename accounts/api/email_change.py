"""Another address for an account."""

from functools import partial

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.serializers import EmailChangeInput, EmailLinkInput
from accounts.services import email_change
from accounts.services.links import InvalidLink
from authsvc.http.openapi import documented
from authsvc.http.origin import origin_of
from authsvc.http.views import ApiView
from authsvc.idempotency import requests as idempotency
from authsvc.tokens.authentication import calling_session
from authsvc.tokens.permissions import RecentlyReauthenticated
from authsvc.tokens.services.step_up import ReauthenticationRequired


class EmailChangeView(ApiView):
    """Asks for another address."""

    permission_classes = (RecentlyReauthenticated,)

    @documented(
        "change_email",
        takes=EmailChangeInput,
        status=202,
        fails_with=[ReauthenticationRequired, *idempotency.REFUSALS],
        headers=[idempotency.HEADER],
    )
    def post(self, request: Request) -> Response:
        """Mail a link to a new address, and a notice with an undo to the present one.

        Nothing changes until the link is followed. An address that somebody else has, or had within the
        last 72 hours, gets the same answer and no link. Only the newest link works; asking for the present
        address takes the others back.
        """
        data = self.validated(EmailChangeInput)
        session = calling_session(request)
        change = partial(email_change.request, user=self.caller, session=session, **data, origin=origin_of(request))
        idempotency.once(request, body=data, deed=change, show=lambda _done: None)
        return self.done(_("If the address is free, a link is on its way to it."), status=202)


class EmailConfirmView(ApiView):
    """Changes the address by the link that was mailed to the new one."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented("confirm_email", takes=EmailLinkInput, fails_with=[InvalidLink])
    def post(self, request: Request) -> Response:
        """Make the new address the account's, and end every session.

        The link works for 24 hours, once, and only the newest; not if somebody else has the address by then.
        """
        email_change.confirm(**self.validated(EmailLinkInput), origin=origin_of(request))
        return self.done(_("The address was changed. Sign in with it from now on."))


class EmailUndoView(ApiView):
    """Takes a change of address back by the link that was mailed to the old one."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented("undo_email", takes=EmailLinkInput, fails_with=[InvalidLink])
    def post(self, request: Request) -> Response:
        """Restore the address that the link was mailed to, and shut everybody out.

        Ends every session, every pending link, every later undo and every known device, lifts a deletion
        that was asked for since, and makes the password useless until it is reset. Works for 72 hours, once,
        whatever became of the account meanwhile, and also before the change was confirmed.
        """
        email_change.undo(**self.validated(EmailLinkInput), origin=origin_of(request))
        return self.done(_("Your address is as it was, and everybody was signed out. Reset your password now."))

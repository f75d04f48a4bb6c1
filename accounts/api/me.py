"""The signed-in user."""

from functools import partial
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.serializers import ProfileInput, UserObject, user_object
from accounts.services import lifecycle, profile
from authsvc.http.openapi import documented
from authsvc.http.origin import origin_of
from authsvc.http.serializers import Input
from authsvc.http.views import ApiView
from authsvc.idempotency import requests as idempotency
from authsvc.tokens.authentication import bearer_token
from authsvc.tokens.permissions import RecentlyReauthenticated
from authsvc.tokens.services import access
from authsvc.tokens.services.access import InvalidToken
from authsvc.tokens.services.step_up import ReauthenticationRequired


class MeView(ApiView):
    """The caller's own account."""

    @documented("me", gives=UserObject)
    def get(self, _request: Request) -> Response:
        """Return the caller's account. Whoever shows a profile needs no other call."""
        return self.done(_("Your account."), user_object(self.caller))

    @documented("update_me", takes=ProfileInput, gives=UserObject)
    def patch(self, request: Request) -> Response:
        """Change the caller's name or language. What is not sent stays as it is."""
        user = profile.update(self.caller, **self.validated(ProfileInput), origin=origin_of(request))
        return self.done(_("Your account was changed."), user_object(user))

    @documented(
        "delete_me",
        status=202,
        fails_with=[ReauthenticationRequired, *idempotency.REFUSALS],
        headers=[idempotency.HEADER],
    )
    def delete(self, request: Request) -> Response:
        """Delete the caller's account: it is switched off and signed out at once, and erased after 30 days.

        Until then a mailed link restores it (`POST /auth/restore`). `DELETION_GRACE_DAYS` sets another time.
        """
        self.validated(Input)
        erasure = partial(lifecycle.request_erasure, user=self.caller, origin=origin_of(request))
        idempotency.once(request, body={}, deed=erasure, show=idempotency.no_data)
        return self._deleted()

    def handle_exception(self, exc: Exception) -> Response:
        """Repeat the answer to a deletion, where that is asked for: it has signed its caller out."""
        if isinstance(exc, InvalidToken) and self.request.method == "DELETE" and _is_repeated(self.request):
            return self._deleted()
        return super().handle_exception(exc)

    def _deleted(self) -> Response:
        return self.done(_("Your account is switched off. We have mailed you a link that restores it."), status=202)

    def get_permissions(self) -> Any:
        """Ask for a fresh proof before the account goes."""
        return [RecentlyReauthenticated()] if self.request.method == "DELETE" else super().get_permissions()


def _is_repeated(request: Request) -> bool:
    """Tell whether the token, good but for its session, asks again for the deletion that ended it."""
    try:
        claims = access.verify(bearer_token(request) or "")
    except InvalidToken:
        return False
    return idempotency.is_answered(request, user_id=claims.user_id, body={})

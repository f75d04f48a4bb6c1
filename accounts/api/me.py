"""The signed-in user."""

from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.serializers import ProfileInput, UserObject, user_object
from accounts.services import profile
from authsvc.http.openapi import documented
from authsvc.http.origin import origin_of
from authsvc.http.views import ApiView


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

"""Taking back a sign-in that was somebody else's."""

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.serializers import NotMeInput
from accounts.services import not_me
from accounts.services.links import InvalidLink
from authsvc.http.openapi import documented
from authsvc.http.origin import origin_of
from authsvc.http.views import ApiView


class NotMeView(ApiView):
    """Secures an account by the link in a mail about a new device."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented("not_me", takes=NotMeInput, fails_with=[InvalidLink])
    def post(self, request: Request) -> Response:
        """Say of a sign-in: this was not me. The token is that of the link in a mail about a new device.

        Ends every session, forgets all known devices and makes the password useless; a link to choose
        a new one is mailed. Works once, within 72 hours; a change of the password does not void it.
        """
        not_me.disown(**self.validated(NotMeInput), origin=origin_of(request))
        return self.done(_("Everybody was signed out. We have mailed you a link to set a new password."))

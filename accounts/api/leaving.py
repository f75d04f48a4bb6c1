"""Coming back from a deletion, and taking one's data along."""

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.serializers import RestoreInput
from accounts.services import export, lifecycle
from accounts.services.export import ExportObject
from accounts.services.links import InvalidLink
from authsvc.http.openapi import documented
from authsvc.http.origin import origin_of
from authsvc.http.views import ApiView


class RestoreView(ApiView):
    """Restores an account by the link in the mail about its deletion."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented("restore", takes=RestoreInput, fails_with=[InvalidLink])
    def post(self, request: Request) -> Response:
        """Take a deletion back. The token is that of the link in the mail about it.

        Works once, until the day on which the account is erased. All sessions stay ended: sign in again.
        """
        lifecycle.restore(**self.validated(RestoreInput), origin=origin_of(request))
        return self.done(_("Your account is restored. Sign in again."))


class ExportView(ApiView):
    """Everything held about the caller."""

    @documented("export_me", gives=ExportObject)
    def get(self, request: Request) -> Response:
        """Return everything held about the caller, secrets excepted.

        Of each list the newest 10,000 entries; `totals` tells how many there are.
        """
        return self.done(_("Everything we hold about you."), export.take_out(self.caller, origin=origin_of(request)))

    def head(self, _request: Request) -> Response:
        """Answer as GET does; nothing is taken out, so the log says nothing."""
        return self.done(_("Everything we hold about you."), export.everything(self.caller))

"""Signing in by mail."""

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.serializers import EmailInput, MagicLinkVerifyInput
from accounts.services import magic_link
from accounts.services.links import InvalidLink
from accounts.services.magic_link import InvalidCode
from authsvc.http.openapi import documented
from authsvc.http.origin import origin_of
from authsvc.http.views import ApiView
from authsvc.tokens.api.serializers import TokensObject, tokens_object
from authsvc.tokens.services.known_devices import Presented


class MagicLinkView(ApiView):
    """Mails a link and a code that sign in."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented("request_magic_link", takes=EmailInput, status=202)
    def post(self, request: Request) -> Response:
        """Mail a link that signs in, and a code of eight digits for another device.

        It goes only to an address that has an account; the answer is always the same. Only the newest
        mail counts, for 15 minutes. Without `FRONTEND_URL` the mail has the code only; after ten wrong
        codes within 24 hours it has the link only, and where neither may be in it there is none.
        """
        magic_link.request_link(**self.validated(EmailInput), origin=origin_of(request))
        return self.done(_("If the address has an account, a mail to sign in with is on its way."), status=202)


class MagicLinkVerifyView(ApiView):
    """Starts a session by what was mailed."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        "sign_in_by_magic_link", takes=MagicLinkVerifyInput, gives=TokensObject, fails_with=[InvalidLink, InvalidCode]
    )
    def post(self, request: Request) -> Response:
        """Sign in by the `token` of the mailed link, or by `email` and the mailed `code`.

        Works once, for 15 minutes after the mail was sent. Five wrong codes end link and code. It proves
        the address: an account that is not verified yet is, and the password it was registered with counts
        no more.
        """
        proof = self.validated(MagicLinkVerifyInput)
        device = Presented(proof.pop("device_name", ""), proof.pop("device_token", None))
        sign_in = magic_link.sign_in_with_link if "token" in proof else magic_link.sign_in_with_code
        return self.done(_("Signed in."), tokens_object(sign_in(**proof, device=device, origin=origin_of(request))))

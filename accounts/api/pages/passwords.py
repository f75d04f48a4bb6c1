"""The pages of a forgotten password: asking for a link, and following it."""

from django.contrib.auth.password_validation import password_validators_help_texts
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ValidationError

from accounts.api.pages.base import ACT, DONE, REFUSALS, Context, LinkPage, Page
from accounts.api.serializers import EmailInput
from accounts.services import passwords
from audit.origin import Origin
from authsvc.http.origin import origin_of


class ForgotPasswordPage(Page):
    """Mails a link that sets a new password. The pages of dead links and of voided passwords lead here."""

    opens = ACT
    template = "accounts/links/forgot_password.html"
    title = _("Forgot your password?")
    done_title = _("Check your mailbox")

    def post(self, request: HttpRequest) -> HttpResponse:
        """Mail a link, if the address has an account; the page is always the same."""
        typed = request.POST.get("email", "")
        asked = EmailInput(data={"email": typed})
        try:
            asked.is_valid(raise_exception=True)
            passwords.request_reset(**asked.validated_data, origin=origin_of(request))
        except (ValidationError, *REFUSALS) as refusal:
            return self.refused(request, refusal, ACT, {"email": typed})
        return self.show(request, DONE, {"title": self.done_title})


class ResetPasswordPage(LinkPage):
    """Sets a new password; one that is refused leaves the link usable."""

    template = "accounts/links/reset_password.html"
    title = _("Set a new password")
    done_title = _("Password changed")

    def peek(self, *, token: str) -> Context:
        """Show whose password it is, and what a password must be."""
        return {"person": passwords.peek_reset(token=token), "password_rules": password_validators_help_texts()}

    def act(self, action: str, *, token: str, form: QueryDict, origin: Origin) -> Context:
        """Set the password."""
        passwords.reset_password(token=token, new_password=form.get("password", ""), origin=origin)
        return {}

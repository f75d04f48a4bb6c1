"""The page of the link that verifies an address."""

from typing import ClassVar

from django.contrib.auth.password_validation import password_validators_help_texts
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from accounts.api.pages.base import Context, LinkPage
from accounts.services import verification
from audit.origin import Origin


class VerifyEmailPage(LinkPage):
    """Confirms an address, or drops a registration that its owner did not make."""

    template = "accounts/links/verify_email.html"
    title = _("Confirm your email address")
    done_title = _("Address confirmed")
    actions: ClassVar = ("confirm", "drop")

    def peek(self, *, token: str) -> Context | None:
        """Show who registered; a link that was used already has nothing left to do."""
        person = verification.peek_verification(token=token)
        if person.is_verified:
            return None
        return {
            "person": person,
            "contested": not person.has_usable_password(),
            "password_rules": password_validators_help_texts(),
        }

    def act(self, action: str, *, token: str, form: QueryDict, origin: Origin) -> Context:
        """Verify the address or delete the registration."""
        if action == "drop":
            verification.drop_registration(token=token, origin=origin)
            return {"dropped": True, "title": _("Registration deleted"), "sign_in_url": ""}
        verification.verify_email(token=token, password=form.get("password") or None, origin=origin)
        return {}

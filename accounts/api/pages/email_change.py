"""The pages of the links that change an address, and that take the change back."""

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from accounts.api.pages.base import Context, LinkPage
from accounts.services import email_change
from audit.origin import Origin


class ConfirmEmailPage(LinkPage):
    """Gives an account the address that the link was mailed to."""

    template = "accounts/links/confirm_email.html"
    title = _("Confirm your new address")
    done_title = _("Address changed")

    def peek(self, *, token: str) -> Context:
        """Show the old address and the new one."""
        person, new_email = email_change.peek_confirmation(token=token)
        return {"person": person, "new_email": new_email}

    def act(self, action: str, *, token: str, form: QueryDict, origin: Origin) -> Context:
        """Change the address."""
        return {"person": email_change.confirm(token=token, origin=origin)}


class UndoEmailChangePage(LinkPage):
    """Gives an account back the address that somebody took from it."""

    template = "accounts/links/undo_email_change.html"
    title = _("Take back the change of your address")
    done_title = _("Your address is back")

    def peek(self, *, token: str) -> Context:
        """Show the address that comes back."""
        person, old_email = email_change.peek_undo(token=token)
        return {"person": person, "old_email": old_email}

    def act(self, action: str, *, token: str, form: QueryDict, origin: Origin) -> Context:
        """Restore the address and shut everybody out."""
        return {"person": email_change.undo(token=token, origin=origin)}

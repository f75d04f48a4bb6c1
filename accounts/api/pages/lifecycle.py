"""The page of the link that keeps an account from being erased."""

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from accounts.api.pages.base import Context, LinkPage
from accounts.services import lifecycle
from audit.origin import Origin


class RestorePage(LinkPage):
    """Restores an account whose deletion was asked for."""

    template = "accounts/links/restore.html"
    title = _("Keep your account")
    done_title = _("Account restored")

    def peek(self, *, token: str) -> Context:
        """Show which account comes back."""
        return {"person": lifecycle.peek_restore(token=token)}

    def act(self, action: str, *, token: str, form: QueryDict, origin: Origin) -> Context:
        """Restore the account."""
        return {"person": lifecycle.restore(token=token, origin=origin)}

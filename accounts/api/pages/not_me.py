"""The page of the link that disowns a sign-in."""

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from accounts.api.pages.base import Context, LinkPage
from accounts.services import not_me
from audit.origin import Origin


class NotMePage(LinkPage):
    """Shuts everybody out of an account that somebody else signed in to."""

    template = "accounts/links/not_me.html"
    title = _("Secure your account")
    done_title = _("Your account is secured")

    def peek(self, *, token: str) -> Context:
        """Show which account it is."""
        return {"person": not_me.peek(token=token)}

    def act(self, action: str, *, token: str, form: QueryDict, origin: Origin) -> Context:
        """End every session, void the password, and mail its owner a link to set a new one."""
        not_me.disown(token=token, origin=origin)
        return {}

"""Step-up: how fresh a session's last full proof of identity is.

Signing in is such a proof and so is `accounts.services.reauthentication`; a refresh is none.
"""

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from authsvc.errors import DomainError, ErrorCode, Kind
from authsvc.tokens import freshness
from authsvc.tokens.models import Session
from authsvc.tokens.services.access import InvalidToken


class ReauthenticationRequired(DomainError):
    """The last full proof is too long ago for what was asked."""

    code = ErrorCode.REAUTHENTICATION_REQUIRED
    kind = Kind.FORBIDDEN
    message = _("This takes a fresh proof of who you are: send your password to /auth/reauthenticate, then try again.")


def note_proof(session: Session) -> datetime:
    """Let the session's step-up start now, in the caller's transaction; return until when it counts.

    The time is the database's. Raises `InvalidToken` where the session is over by now.
    """
    with transaction.atomic():
        if not Session.objects.note_proof(session):
            raise InvalidToken
        freshness.changed(session.user_id)
        proved_at = Session.objects.values_list("authenticated_at", flat=True).get(pk=session.pk)
    return proved_at + settings.STEP_UP


def require(session: Session) -> None:
    """Do nothing where the last full proof still counts, by the row and the clock of the database.

    Raises `ReauthenticationRequired`, and `InvalidToken` where the session ended since the caller was let in.
    """
    if Session.objects.proved_since(settings.STEP_UP).filter(pk=session.pk).exists():
        return
    is_over = not Session.objects.live().filter(pk=session.pk).exists()
    raise InvalidToken if is_over else ReauthenticationRequired

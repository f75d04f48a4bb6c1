"""Proving again who one is, within a session that exists."""

from datetime import datetime
from enum import StrEnum

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from audit import services as audit
from audit.events import EventType, Outcome
from audit.origin import Origin
from authsvc import hashing
from authsvc.errors import DomainError, ErrorCode
from authsvc.tokens.models import Session
from authsvc.tokens.services import step_up
from authsvc.tokens.services.access import InvalidToken


class PasswordIncorrect(DomainError):
    """Not the password of the account that is signed in."""

    code = ErrorCode.PASSWORD_INCORRECT
    message = _("The password is wrong.")
    field = "password"


class Refusal(StrEnum):
    """Why a proof was not taken: for the audit log."""

    PASSWORD = "password"  # noqa: S105 - a reason, not a secret
    CHANGED = "changed"


def by_password(*, user: User, session: Session, password: str, origin: Origin) -> datetime:
    """Let the step-up of one session start now; return until when it counts.

    The update has a session that is live and of today's stamp for a condition, so that no proof by
    a password outlives it. Raises `PasswordIncorrect`, `InvalidToken`, `authsvc.errors.Unavailable`.
    """
    if not hashing.verify(password, user.password):
        _record_failure(user, session, Refusal.PASSWORD, origin=origin)
        raise PasswordIncorrect
    try:
        return _note(user, session, origin=origin)
    except InvalidToken:
        _record_failure(user, session, Refusal.CHANGED, origin=origin)
        raise


@transaction.atomic
def _note(user: User, session: Session, *, origin: Origin) -> datetime:
    until = step_up.note_proof(session)
    audit.record(
        EventType.ACCOUNT_REAUTHENTICATION_SUCCEEDED, origin=origin, subject=user.audit_key, session_id=session.pk
    )
    return until


def _record_failure(user: User, session: Session, reason: Refusal, *, origin: Origin) -> None:
    audit.record(
        EventType.ACCOUNT_REAUTHENTICATION_FAILED,
        origin=origin,
        subject=user.audit_key,
        outcome=Outcome.FAILURE,
        session_id=session.pk,
        metadata={"reason": reason.value},
    )

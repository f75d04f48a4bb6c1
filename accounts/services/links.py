"""Links that were mailed: finding what one is for, and mailing those that anybody can ask for."""

from datetime import timedelta
from typing import Protocol

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts import selectors
from accounts.models import User
from audit.origin import Origin
from authsvc import crypto
from authsvc.errors import DomainError, ErrorCode
from authsvc.mail import queue
from authsvc.mail.models import OutgoingMail
from authsvc.tokens.models import OneTimeToken, Purpose
from authsvc.tokens.services import one_time

OWNERS_LANE = "owner"


class InvalidLink(DomainError):
    """The link is wrong, used, over, or no longer for the address of the account."""

    code = ErrorCode.INVALID_TOKEN
    message = _("This link is not valid or no longer valid.")
    field = "token"


class Letter(Protocol):
    """A function of `accounts.emails` that queues a mail with a link."""

    def __call__(self, *, user: User, token: str, lane: str) -> OutgoingMail:
        """Queue the mail."""


def find(token: str, *, purpose: Purpose) -> OneTimeToken:
    """Return the row of a link to the address that its account has, used or not. Raises `InvalidLink`."""
    link = one_time.find(token, purpose=purpose)
    if link is None or link.user.email != link.address:
        raise InvalidLink
    return link


def find_unused(token: str, *, purpose: Purpose) -> OneTimeToken:
    """Return the row of a link that nobody used yet. Raises `InvalidLink`."""
    link = find(token, purpose=purpose)
    if link.consumed_at is not None:
        raise InvalidLink
    return link


def consume(link: OneTimeToken) -> None:
    """Use a link up, in the transaction of what it does. Raises `InvalidLink` for all callers but one."""
    if not one_time.consume(link):
        raise InvalidLink


def mail(
    user: User | None,
    *,
    purpose: Purpose,
    lifetime: timedelta,
    letter: Letter,
    origin: Origin,
    newest_only: bool,
    code: str | None = None,
) -> bool:
    """Make a link and queue the mail that carries it, in the caller's transaction; tell whether it goes out.

    Beyond `LIMIT_MAIL` none does, and no earlier link is voided. Otherwise `newest_only` voids them.
    `code` is a short code that the letter has beside the link.
    For nobody, and beyond the limit, the same work is done and taken back: time must not tell who
    is sent a link.
    """
    reader = user or User(email="nobody@example.invalid", name="Nobody")
    token = crypto.new_token()
    with transaction.atomic():
        is_there = selectors.lock_user(reader.pk) is not None  # or erased in this moment
        lane = OWNERS_LANE if selectors.has_signed_in_from(reader, origin.ip) else ""
        if newest_only:
            one_time.void(reader, purpose)
        outgoing = letter(user=reader, token=token, lane=lane)
        goes_out = queue.within_limit(outgoing)
        one_time.register(token=token, purpose=purpose, user=reader, mail=outgoing, lifetime=lifetime, code=code)
        transaction.set_rollback(not (is_there and goes_out))
    return is_there and goes_out

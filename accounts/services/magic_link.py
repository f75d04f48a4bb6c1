"""Signing in by mail: a link, or a code of eight digits for another device.

Either proves the address. The link's token has 256 bits; the code is short, so guesses at it are
counted, under the row of the account, before they are looked at.
"""

import secrets
from datetime import timedelta
from functools import partial
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import emails, selectors
from accounts.models import User
from accounts.services import links, signin
from accounts.services.links import InvalidLink
from audit import services as audit
from audit.events import EventType, Outcome
from audit.origin import Origin
from authsvc.errors import DomainError, ErrorCode
from authsvc.tokens.models import OneTimeToken, Purpose
from authsvc.tokens.services import one_time
from authsvc.tokens.services.known_devices import Presented
from authsvc.tokens.services.sessions import Issued

MAGIC_LINK_LIFE = timedelta(minutes=emails.MAGIC_LINK_MINUTES)
WRONG_CODES_A_DAY = 10
_DAY = timedelta(hours=24)
_CODES = 10**8


class InvalidCode(DomainError):
    """One answer for a wrong code, an address without an account, and one for which no code is open."""

    code = ErrorCode.INVALID_CODE
    message = _("This code is not valid or no longer valid.")
    field = "code"


def request_link(*, email: str, origin: Origin) -> None:
    """Mail a link and a code to an active account, verified or not; whoever asks learns nothing.

    Only the newest mail counts. After ten wrong codes within 24 hours the mail has the link alone.
    Without `FRONTEND_URL` it has the code alone, for no page of ours could keep the tokens; so
    where both hold there is nothing to mail, and no mail goes out.
    """
    user = selectors.user_by_email(email)
    guesses = one_time.wrong_codes(user or User(), Purpose.MAGIC_LINK, since=timezone.now() - _DAY)
    code = f"{secrets.randbelow(_CODES):08}" if guesses < WRONG_CODES_A_DAY else None
    says_something = code is not None or bool(settings.FRONTEND_URL)
    with transaction.atomic():
        links.mail(
            user if user is not None and user.is_active and says_something else None,
            purpose=Purpose.MAGIC_LINK,
            lifetime=MAGIC_LINK_LIFE,
            letter=partial(emails.magic_link, code=code),
            code=code,
            origin=origin,
            newest_only=True,
        )
        audit.record(EventType.ACCOUNT_MAGIC_LINK_REQUESTED, origin=origin, subject=user.audit_key if user else None)


def sign_in_with_link(*, token: str, device: Presented, origin: Origin) -> Issued:
    """Start a session by the token of a mailed link, which is used up by nothing but a session.

    Raises `InvalidLink`, `authsvc.crypto.KeyUnavailable`.
    """
    link = links.find_unused(token, purpose=Purpose.MAGIC_LINK)
    with transaction.atomic():
        user = selectors.lock_user(link.user_id)
        if user is None or not _may_enter(user) or (user.stamp, user.email) != (link.stamp, link.address):
            raise InvalidLink
        return _enter(user, link, device=device, origin=origin)


def sign_in_with_code(*, email: str, code: str, device: Presented, origin: Origin) -> Issued:
    """Start a session by the eight digits of the newest mail to an address.

    Five wrong ones end code and link. Raises `InvalidCode`, and `authsvc.crypto.KeyUnavailable`,
    which counts no guess and uses nothing up.
    """
    known = selectors.user_by_email(email)
    with transaction.atomic():
        user = selectors.lock_user((known or User()).pk)
        link = _awaiting_code(user)
        if one_time.guess(link, code) and user is not None and link is not None:
            return _enter(user, link, device=device, origin=origin)
        audit.record(
            EventType.ACCOUNT_MAGIC_LINK_REFUSED,
            origin=origin,
            subject=known.audit_key if known else None,
            outcome=Outcome.REFUSED,
        )
    raise InvalidCode


def _awaiting_code(user: User | None) -> OneTimeToken | None:
    """Return what the newest mail of an account left to be answered by its code."""
    link = one_time.open_with_code(user or User(), Purpose.MAGIC_LINK)
    fits = link is not None and user is not None and user.email == link.address and _may_enter(user)
    return link if fits else None


def _may_enter(user: User) -> bool:
    return user.is_active and not selectors.is_lapsed(user, timezone.now())


def _enter(user: User, link: OneTimeToken, *, device: Presented, origin: Origin) -> Issued:
    """Use the link up, verify the account and start the session, in the caller's transaction, which holds its row.

    The lock leaves `grant` nothing to refuse, and if anything fails all of it is taken back.
    """
    links.consume(link)
    if not user.is_verified:
        _verify(user, origin=origin)
    return signin.grant(user, amr=["email"], device=device, origin=origin, password_hash=user.password)


def _verify(user: User, *, origin: Origin) -> None:
    """Verify an account, and drop the password it was registered with: whoever chose it has proved nothing."""
    user.set_unusable_password()
    user.stamp, user.verified_at = uuid4(), timezone.now()
    user.save(update_fields=["password", "stamp", "verified_at", "updated_at"])
    audit.record(EventType.ACCOUNT_EMAIL_VERIFIED, origin=origin, subject=user.audit_key)

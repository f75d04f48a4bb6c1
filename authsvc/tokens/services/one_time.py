"""Single-use secrets that are mailed: kept as a digest, bound to user, address and stamp."""

import hmac
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import F, Sum
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from audit.insertion import insert
from authsvc import crypto
from authsvc.mail.models import OutgoingMail
from authsvc.tokens.models import OneTimeToken, Purpose

if TYPE_CHECKING:
    from accounts.models import User

WRONG_CODES_MAX = 5


def register(
    *,
    token: str,
    purpose: Purpose,
    user: "User",
    mail: OutgoingMail,
    lifetime: timedelta,
    code: str | None = None,
    outlives_changes: bool = False,
) -> OneTimeToken:
    """Insert the row of a token that a mail carries, in the caller's transaction.

    It proves the address that the mail goes to. `code` is a short code beside the link, kept as its
    HMAC. With `outlives_changes` no later change of the account's stamp voids it.
    """
    row = OneTimeToken(
        purpose=purpose,
        user=user,
        address=mail.recipient,
        stamp=None if outlives_changes else user.stamp,
        digest=crypto.sha256(token),
        mail=mail,
        lifetime=lifetime,
    )
    if code is not None:
        row.code_key_id = crypto.current_key_id()
        row.code_digest = _code_digest(row, code)
    insert(row)
    return row


def find(token: str, *, purpose: Purpose) -> OneTimeToken | None:
    """Return the row of a token, consumed or not, with its user.

    Nothing where its time is over, where it was made for another purpose, or where the account has
    another stamp by now. Whether the account still has the row's `address` is for the caller to ask.
    """
    row = (
        OneTimeToken.objects.select_related("user", "mail").filter(digest=crypto.sha256(token), purpose=purpose).first()
    )
    if row is None or not row.is_alive(timezone.now()):
        return None
    return row if row.stamp in {None, row.user.stamp} else None


def consume(token: OneTimeToken) -> bool:
    """Mark as used; of any number of callers one is told that it did."""
    return bool(OneTimeToken.objects.filter(pk=token.pk, consumed_at__isnull=True).update(consumed_at=Now()))


def void(user: "User", *purposes: Purpose, made_since: datetime | None = None, but_to: str | None = None) -> int:
    """Use up every token of these purposes that a user still has; return how many.

    `made_since` leaves those that are older than that, `but_to` those that went to an address.
    """
    rows = OneTimeToken.objects.filter(user=user, purpose__in=purposes, consumed_at__isnull=True)
    if made_since is not None:
        rows = rows.filter(created_at__gte=made_since)
    if but_to is not None:
        rows = rows.exclude(address=but_to)
    return rows.update(consumed_at=Now())


def open_with_code(user: "User", purpose: Purpose) -> OneTimeToken | None:
    """Return the row of the newest unused mail that a user can answer by its code, as `find` does by its token."""
    row = (
        OneTimeToken.objects.select_related("mail")
        .filter(user=user, purpose=purpose, consumed_at__isnull=True, code_digest__isnull=False)
        .order_by("-created_at", "-pk")
        .first()
    )
    return row if row is not None and row.is_alive(timezone.now()) and row.stamp in {None, user.stamp} else None


def guess(row: OneTimeToken | None, code: str) -> bool:
    """Tell whether a code is the one of a row, in the caller's transaction; `WRONG_CODES_MAX` wrong ones end the token.

    It counts before it is looked at, so that no number of guesses at once sees more than those
    compared, and a right one is given back. Without a row the same statements are run and find
    nothing. Raises `authsvc.crypto.KeyUnavailable`; then the caller's transaction must not count it.
    """
    candidate = row or OneTimeToken()
    unused = OneTimeToken.objects.filter(pk=candidate.pk, consumed_at__isnull=True)
    counted = unused.filter(wrong_codes__lt=WRONG_CODES_MAX).update(wrong_codes=F("wrong_codes") + 1)
    if counted and code_fits(candidate, code):
        unused.update(wrong_codes=F("wrong_codes") - 1)
        return True
    unused.filter(wrong_codes__gte=WRONG_CODES_MAX).update(consumed_at=Now())
    return False


def wrong_codes(user: "User", purpose: Purpose, *, since: datetime) -> int:
    """Return how many wrong codes were given for the mails that a user was sent since then."""
    rows = OneTimeToken.objects.filter(user=user, purpose=purpose, created_at__gte=since)
    return rows.aggregate(wrong=Coalesce(Sum("wrong_codes"), 0))["wrong"] or 0


def code_fits(row: OneTimeToken, code: str) -> bool:
    """Tell whether a code is the one that was mailed beside the token. Raises `authsvc.crypto.KeyUnavailable`."""
    return row.code_digest is not None and crypto.equal(_code_digest(row, code), bytes(row.code_digest))


def _code_digest(row: OneTimeToken, code: str) -> bytes:
    key = crypto.derive("one-time code", bytes(row.code_key_id or b""))
    return hmac.digest(key, row.id.bytes + code.encode(), "sha256")

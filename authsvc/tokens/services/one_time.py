"""Single-use secrets that are mailed: kept as a digest, bound to user, address and stamp."""

import hmac
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models.functions import Now
from django.utils import timezone

from authsvc import crypto
from authsvc.mail.models import OutgoingMail
from authsvc.tokens.models import OneTimeToken, Purpose

if TYPE_CHECKING:
    from accounts.models import User


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
    row.save(force_insert=True)
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


def void(user: "User", *purposes: Purpose) -> int:
    """Use up every token of these purposes that a user still has; return how many."""
    rows = OneTimeToken.objects.filter(user=user, purpose__in=purposes, consumed_at__isnull=True)
    return rows.update(consumed_at=Now())


def code_fits(row: OneTimeToken, code: str) -> bool:
    """Tell whether a code is the one that was mailed beside the token. Raises `authsvc.crypto.KeyUnavailable`."""
    return row.code_digest is not None and crypto.equal(_code_digest(row, code), bytes(row.code_digest))


def _code_digest(row: OneTimeToken, code: str) -> bytes:
    key = crypto.derive("one-time code", bytes(row.code_key_id or b""))
    return hmac.digest(key, row.id.bytes + code.encode(), "sha256")

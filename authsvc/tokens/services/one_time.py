"""Single-use secrets that are mailed: kept as a digest, bound to user, address and stamp."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models.functions import Now
from django.utils import timezone

from authsvc import crypto
from authsvc.mail.models import OutgoingMail
from authsvc.tokens.models import OneTimeToken, Purpose

if TYPE_CHECKING:
    from accounts.models import User


def register(*, token: str, purpose: Purpose, user: "User", mail: OutgoingMail, lifetime: timedelta) -> OneTimeToken:
    """Insert the row of a token that a mail carries, in the caller's transaction."""
    return OneTimeToken.objects.create(
        purpose=purpose,
        user=user,
        address=user.email,
        stamp=user.stamp,
        digest=crypto.sha256(token),
        mail=mail,
        lifetime=lifetime,
    )


def find(token: str, *, purpose: Purpose) -> OneTimeToken | None:
    """Return the row of a token, consumed or not, with its user.

    Nothing where its time is over, where it was made for another purpose, or where the account has
    another address or stamp by now.
    """
    row = (
        OneTimeToken.objects.select_related("user", "mail").filter(digest=crypto.sha256(token), purpose=purpose).first()
    )
    if row is None or not row.is_alive(timezone.now()):
        return None
    if row.user.email != row.address or row.user.stamp != row.stamp:
        return None
    return row


def consume(token: OneTimeToken) -> bool:
    """Mark as used; of any number of callers one is told that it did."""
    return bool(OneTimeToken.objects.filter(pk=token.pk, consumed_at__isnull=True).update(consumed_at=Now()))

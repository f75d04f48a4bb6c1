"""Single-use secrets that are mailed."""

from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from authsvc.ids import uuid7
from authsvc.mail.models import OutgoingMail


class Purpose(models.TextChoices):
    """What a one-time token is good for."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose, not a secret
    CONFIRM_EMAIL = "confirm_email"
    UNDO_EMAIL = "undo_email"
    MAGIC_LINK = "magic_link"
    RESTORE = "restore"
    NOT_ME = "not_me"


def purposes() -> list[tuple[str, str]]:
    """Return the choices of `OneTimeToken.purpose`: as a function, so that a new one needs no migration."""
    return [(purpose.value, purpose.value) for purpose in Purpose]


class OneTimeToken(models.Model):
    """A single-use secret that was mailed: its digest, and everything it is bound to.

    Its life counts from the moment its mail was sent; until then it lives at most seven days, and a
    mail that was given up takes its token along. `address` is the one that the mail went to, and
    so the one it proves. Without a `stamp` nothing that happens to the account voids it.

    A mail may carry a short code beside its link: `code_digest` is its HMAC under a key of ours with
    the row's id, and `wrong_codes` counts the guesses.
    """

    UNSENT_LIFE = timedelta(days=7)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    purpose = models.CharField(max_length=20, choices=purposes)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    address = models.EmailField(max_length=254)
    stamp = models.UUIDField(null=True)
    digest = models.BinaryField(max_length=32, unique=True)
    code_digest = models.BinaryField(max_length=32, null=True)
    code_key_id = models.BinaryField(max_length=4, null=True)
    wrong_codes = models.PositiveSmallIntegerField(default=0, db_default=0)
    mail = models.ForeignKey(OutgoingMail, models.CASCADE, related_name="+")
    lifetime = models.DurationField()
    created_at = models.DateTimeField(default=timezone.now)
    consumed_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["created_at"], name="one_time_token_created"),
            models.Index(fields=["address"], condition=Q(purpose="undo_email"), name="one_time_token_undo_address"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.pk}"

    def is_alive(self, now: datetime) -> bool:
        """Tell whether the token's time is not over; says nothing of its having been used."""
        if self.mail.state == OutgoingMail.State.GIVEN_UP:
            return False
        if self.mail.sent_at is None:
            return now < self.created_at + self.UNSENT_LIFE
        return now < self.mail.sent_at + self.lifetime

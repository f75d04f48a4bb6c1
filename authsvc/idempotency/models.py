"""Keys that clients gave to their requests, and what was answered."""

from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID, uuid4

from django.db import models

from authsvc.ids import uuid7


class ReservationQuerySet(models.QuerySet["Reservation"]):
    """The conditional updates that settle which of several requests with one key does the work."""

    def take_over(self, reservation: "Reservation", *, now: datetime) -> bool:
        """Take a key whose time is over; false where somebody did so already, or it has an answer after all."""
        over = self.filter(digest=reservation.digest, expires_at__lte=now)
        return (
            over.update(
                claim=reservation.claim,
                body_mac=reservation.body_mac,
                sealed_body_key=reservation.sealed_body_key,
                sealed_answer=b"",
                expires_at=reservation.expires_at,
            )
            == 1
        )

    def keep(self, claim: UUID, *, sealed_answer: bytes, expires_at: datetime) -> bool:
        """Store the answer of whoever holds a key; false where its lease ended and another took over."""
        return (
            self.filter(claim=claim, sealed_answer=b"").update(sealed_answer=sealed_answer, expires_at=expires_at) == 1
        )

    def release(self, claim: UUID) -> None:
        """Free a key, unless there is an answer to repeat."""
        self.filter(claim=claim, sealed_answer=b"").delete()


class Reservation(models.Model):
    """One key of one caller for one operation: in work while there is no answer, then with the one to repeat.

    `expires_at` ends the lease of the request that works, and later the time in which the answer is repeated.
    Bodies hold passwords: of one there is an HMAC under a key of the row's own, which rests sealed.
    """

    LEASE = timedelta(seconds=60)
    KEPT = timedelta(hours=24)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    digest = models.BinaryField(max_length=32, unique=True)
    body_mac = models.BinaryField(max_length=32)
    sealed_body_key = models.BinaryField()
    claim = models.UUIDField(default=uuid4, unique=True)
    sealed_answer = models.BinaryField(default=b"")
    expires_at = models.DateTimeField()

    objects = ReservationQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="reservation_expires")]

    def __str__(self) -> str:
        return str(self.pk)

    def body_key_seal(self) -> str:
        """Return the context that `sealed_body_key` is sealed for: the key, which a row that is taken over keeps."""
        return f"idempotency_reservation.sealed_body_key:{bytes(self.digest).hex()}"

    def answer_seal(self) -> str:
        """Return the context that `sealed_answer` is sealed for."""
        return f"idempotency_reservation.sealed_answer:{bytes(self.digest).hex()}"

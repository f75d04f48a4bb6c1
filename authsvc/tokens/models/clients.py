"""Service clients, their keys, and the nonces they used."""

from datetime import datetime
from typing import ClassVar

from django.db import IntegrityError, models, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from authsvc.ids import uuid7


class ServiceClient(models.Model):
    """A machine that may ask about tokens and revoke them. It proves itself by the signatures of its keys."""

    NAME_MAX_LENGTH = 100

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=NAME_MAX_LENGTH, unique=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    disabled_at = models.DateTimeField(_("disabled at"), null=True)

    is_authenticated = True  # what DRF asks of whoever `request.user` is

    class Meta:
        verbose_name = _("service client")
        verbose_name_plural = _("service clients")

    def __str__(self) -> str:
        return self.name


class ServiceClientKeyQuerySet(models.QuerySet["ServiceClientKey"]):
    """Conditional updates: the database settles every race."""

    def live(self) -> "ServiceClientKeyQuerySet":
        """Keep the keys that are not revoked."""
        return self.filter(revoked_at__isnull=True)

    def revoke(self) -> int:
        """Revoke those of these keys that are not; return how many were."""
        return self.live().update(revoked_at=Now())


class ServiceClientKey(models.Model):
    """A key that a service client signs with; its id is the `keyid` on the wire.

    A client has at most two live keys, so that one can follow the other without a gap: each live key
    holds one of two slots. A shared secret is sealed; of a key pair only the public part is here.
    """

    SLOTS = (1, 2)

    class Algorithm(models.TextChoices):
        """What a key signs with, by the names of RFC 9421, section 6.2.2."""

        HMAC_SHA256 = "hmac-sha256", "HMAC-SHA256"
        ED25519 = "ed25519", "Ed25519"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client = models.ForeignKey(ServiceClient, models.CASCADE, related_name="keys", verbose_name=_("service client"))
    algorithm = models.CharField(_("algorithm"), max_length=16, choices=Algorithm.choices)
    slot = models.PositiveSmallIntegerField()
    sealed_secret = models.BinaryField(null=True)
    public_key = models.BinaryField(max_length=32, null=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    revoked_at = models.DateTimeField(_("revoked at"), null=True)

    objects: ClassVar[models.Manager["ServiceClientKey"]] = ServiceClientKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("key of a service client")
        verbose_name_plural = _("keys of service clients")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["client", "slot"],
                condition=models.Q(revoked_at__isnull=True),
                name="one_live_key_per_slot_of_client",
            ),
            models.CheckConstraint(condition=models.Q(slot__in=(1, 2)), name="two_slots_per_client"),
            models.CheckConstraint(
                condition=models.Q(algorithm="hmac-sha256", sealed_secret__isnull=False, public_key__isnull=True)
                | models.Q(algorithm="ed25519", sealed_secret__isnull=True, public_key__isnull=False),
                name="key_material_fits_algorithm",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.algorithm} {self.pk}"


class UsedNonceQuerySet(models.QuerySet["UsedNonce"]):
    """The one way a nonce is used."""

    def use(self, *, key: ServiceClientKey, digest: bytes, expires_at: datetime) -> bool:
        """Insert the nonce; tell whether nobody used it with this key before. Of any number of callers one is first."""
        try:
            with transaction.atomic():
                self.create(key=key, digest=digest, expires_at=expires_at)
        except IntegrityError:
            return False
        return True


class UsedNonce(models.Model):
    """A nonce that came with an accepted signature, kept until no clock takes that signature any more."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The constraint brings an index.
    key = models.ForeignKey(ServiceClientKey, models.CASCADE, related_name="+", db_index=False)
    digest = models.BinaryField(max_length=32)
    expires_at = models.DateTimeField()

    objects: ClassVar[models.Manager["UsedNonce"]] = UsedNonceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["key", "digest"], name="nonce_used_once_per_key")]
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="used_nonce_expires")]

    def __str__(self) -> str:
        return f"nonce {self.pk}"

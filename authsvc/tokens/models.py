"""Credentials: sessions with their refresh lineage, one-time tokens, signing keys, service clients."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, models, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from authsvc.compiled import CompiledUpdate
from authsvc.ids import uuid7
from authsvc.mail.models import OutgoingMail

if TYPE_CHECKING:
    from accounts.models import User


class EndReason(models.TextChoices):
    """Why a session is over."""

    LOGOUT = "logout", _("signed out")
    LOGOUT_ALL = "logout_all", _("signed out everywhere")
    OWNER = "owner", _("ended by its owner")
    REUSE = "reuse", _("refresh token used twice")
    CAP = "cap", _("too many sessions")
    ROLE = "role", _("role changed")
    DEACTIVATED = "deactivated", _("account deactivated")
    STAFF = "staff", _("ended by staff")
    CLIENT = "client", _("ended by a service")


class SessionQuerySet(models.QuerySet["Session"]):
    """Conditional updates: the database settles every race."""

    def live(self) -> "SessionQuerySet":
        """Keep the sessions that are neither ended, idle too long nor too old, by the database's clock."""
        return self.filter(
            ended_at__isnull=True,
            created_at__gt=Now() - settings.SESSION_MAX,
            refreshed_at__gt=Now() - settings.REFRESH_IDLE,
        )

    def live_of(self, user: "User") -> "SessionQuerySet":
        """Keep the sessions that their owner can still use. The index `session_open_of_user` leads to them."""
        return self.live().filter(user=user, stamp=user.stamp)

    def proved_since(self, age: timedelta) -> "SessionQuerySet":
        """Keep the live sessions whose owner gave a full proof of identity no longer ago than that."""
        return self.live().filter(authenticated_at__gt=Now() - age)

    def note_proof(self, session: "Session") -> bool:
        """Let the session's last full proof be of this moment; tell whether it was still live."""
        return bool(self.live().filter(pk=session.pk, stamp=session.stamp).update(authenticated_at=Now()))

    def note_activity(self, session_ids: Iterable[UUID], *, older_than: timedelta) -> int:
        """Set the last activity of sessions to now where it is older than that; return of how many.

        Whatever another transaction holds is left out: so this waits for nobody, and nobody who
        ends several sessions at once can end up in a deadlock with it.
        """
        outdated = self.filter(pk__in=session_ids, ended_at__isnull=True, last_activity_at__lt=Now() - older_than)
        with transaction.atomic():
            free = outdated.select_for_update(skip_locked=True).values("pk")
            return Session.objects.filter(pk__in=free).update(last_activity_at=Now())

    def rotate(self, session: "Session", *, presented: bytes, successor: bytes, key_id: bytes) -> bool:
        """Replace the current refresh token by its successor; tell whether this caller did it.

        `presented` and `successor` are SHA-256 digests. Of any number of callers one wins.
        """
        update = _rotation(connection.vendor, settings.SESSION_MAX, settings.REFRESH_IDLE)
        return bool(update.run(session.pk, session.stamp, presented, successor, key_id))

    def end(self, reason: EndReason) -> int:
        """End those of these sessions that have not ended; return how many did."""
        return self.filter(ended_at__isnull=True).update(ended_at=Now(), end_reason=reason)


@lru_cache(maxsize=4)
def _rotation(_vendor: str, _session_max: timedelta, _refresh_idle: timedelta) -> CompiledUpdate:
    """Return the update of `rotate`, compiled for a database and the settings that `live` reads."""
    pk, stamp = UUID(int=1), UUID(int=2)
    presented, successor, key_id = b"presented", b"successor", b"key"
    return CompiledUpdate(
        SessionQuerySet(Session).live().filter(pk=pk, refresh_hash=presented, stamp=stamp),
        {
            "refresh_hash": successor,
            "refresh_generation": models.F("refresh_generation") + 1,
            "refresh_key_id": key_id,
            "refreshed_at": Now(),
            "last_activity_at": Now(),
        },
        placeholders=(pk, stamp, presented, successor, key_id),
    )


class Session(models.Model):
    """One signed-in device, and the one lineage of refresh tokens it owns.

    Nothing in the row can be presented as a token: the current one is kept as its SHA-256, and its
    successor is derived from the token itself, `refresh_salt` and a key that is not in the database.
    How long a session lives follows from today's settings, so that a shorter life binds old ones too.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    stamp = models.UUIDField(editable=False)
    device_name = models.CharField(_("device name"), max_length=100, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=400, blank=True)
    ip = models.GenericIPAddressField(_("IP address"), null=True)
    amr = models.JSONField(_("authentication methods"), default=list)
    authenticated_at = models.DateTimeField(_("authenticated at"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    last_activity_at = models.DateTimeField(_("last activity"))
    refresh_salt = models.BinaryField(max_length=16)
    refresh_generation = models.PositiveIntegerField(default=0)
    refresh_hash = models.BinaryField(max_length=32)
    refresh_key_id = models.BinaryField(max_length=4)
    refreshed_at = models.DateTimeField(_("refreshed at"))
    ended_at = models.DateTimeField(_("ended at"), null=True)
    end_reason = models.CharField(_("reason"), max_length=12, choices=EndReason.choices, blank=True)

    objects: ClassVar[models.Manager["Session"]] = SessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        indexes: ClassVar = [
            models.Index(
                fields=["user", "created_at"], condition=models.Q(ended_at__isnull=True), name="session_open_of_user"
            ),
            models.Index(fields=["created_at"], name="session_created"),
        ]

    def __str__(self) -> str:
        return f"session {self.pk}"

    @property
    def expires_at(self) -> datetime:
        """When the session ends if nothing refreshes it: idle or absolute limit, whichever comes first."""
        return min(self.refreshed_at + settings.REFRESH_IDLE, self.created_at + settings.SESSION_MAX)

    def is_live(self, now: datetime) -> bool:
        """Tell whether the session is neither ended nor expired at that moment."""
        return self.ended_at is None and now < self.expires_at


class Purpose(models.TextChoices):
    """What a one-time token is good for."""

    VERIFY_EMAIL = "verify_email"


class OneTimeToken(models.Model):
    """A single-use secret that was mailed: its digest, and everything it is bound to.

    Its life counts from the moment its mail was sent; until then it lives at most seven days, and a
    mail that was given up takes its token along.
    """

    UNSENT_LIFE = timedelta(days=7)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    address = models.EmailField(max_length=254)
    stamp = models.UUIDField()
    digest = models.BinaryField(max_length=32, unique=True)
    mail = models.ForeignKey(OutgoingMail, models.CASCADE, related_name="+")
    lifetime = models.DurationField()
    created_at = models.DateTimeField(default=timezone.now)
    consumed_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["created_at"], name="one_time_token_created")]

    def __str__(self) -> str:
        return f"{self.purpose} {self.pk}"

    def is_alive(self, now: datetime) -> bool:
        """Tell whether the token's time is not over; says nothing of its having been used."""
        if self.mail.state == OutgoingMail.State.GIVEN_UP:
            return False
        if self.mail.sent_at is None:
            return now < self.created_at + self.UNSENT_LIFE
        return now < self.mail.sent_at + self.lifetime


class SigningKey(models.Model):
    """A key that signs access tokens. `kid` is its RFC 7638 thumbprint; the private part is sealed."""

    class State(models.TextChoices):
        """Where a key is in its life: published, signing, or only verifying what it signed."""

        NEXT = "next", _("next")
        ACTIVE = "active", _("active")
        RETIRED = "retired", _("retired")

    kid = models.CharField(primary_key=True, max_length=43)
    algorithm = models.CharField(_("algorithm"), max_length=10)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.ACTIVE)
    public_jwk: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(_("public key"))
    sealed_private = models.BinaryField()
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    activated_at = models.DateTimeField(_("activated at"), null=True)
    retired_at = models.DateTimeField(_("retired at"), null=True)
    verifies_until = models.DateTimeField(_("verifies until"), null=True)

    class Meta:
        verbose_name = _("signing key")
        verbose_name_plural = _("signing keys")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["state"], condition=models.Q(state="active"), name="one_active_key"),
            models.UniqueConstraint(fields=["state"], condition=models.Q(state="next"), name="one_next_key"),
        ]

    def __str__(self) -> str:
        return self.kid


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

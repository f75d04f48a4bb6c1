"""The person."""

from functools import lru_cache
from typing import ClassVar
from uuid import UUID, uuid4

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import connection, models
from django.db.models.functions import Lower, Now
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from audit.insertion import insert
from authsvc.addresses import MAX_LENGTH
from authsvc.compiled import CompiledUpdate
from authsvc.ids import uuid7

NAME_MAX_LENGTH = 100


class Role(models.TextChoices):
    """What a person may do."""

    USER = "user", _("user")
    ADMIN = "admin", _("administrator")


class Locale(models.TextChoices):
    """Languages in which the service speaks."""

    ENGLISH = "en", "English"
    GERMAN = "de", "Deutsch"
    SPANISH = "es", "Español"
    FRENCH = "fr", "Français"


class UserManager(BaseUserManager["User"]):
    """Makes accounts, and finds them by the canonical address alone."""

    def create_user(self, *, email: str, name: str, password_hash: str, locale: str = Locale.ENGLISH) -> "User":
        """Insert an unverified account. `email` is canonical; raises `IntegrityError` where it is taken."""
        user = self.model(email=email, name=name, password=password_hash, locale=locale)
        insert(user)
        return user

    def note_sign_in(self, user: "User", *, password_hash: str) -> bool:
        """Let an account's last sign-in be now; tell whether it may sign in and is as `user` was read.

        The hash of its password is replaced, by one of the same password.
        """
        update = _sign_in(connection.vendor)
        return bool(update.run(user.pk, user.stamp, user.password, password_hash))

    def void_password(self, user: "User") -> None:
        """Leave a user without a password, until the owner of the address sets one."""
        user.set_unusable_password()
        _voiding(connection.vendor).run(user.pk, user.password)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Find by exact match: `iexact` would scan the table."""
        return self.get(email=username)


@lru_cache(maxsize=2)
def _sign_in(_vendor: str) -> CompiledUpdate:
    """Return the update of `note_sign_in`, compiled for a database."""
    pk, stamp, read, written = UUID(int=1), UUID(int=2), "the hash that was read", "the hash to write"
    return CompiledUpdate(
        User.objects.filter(pk=pk, stamp=stamp, password=read, is_active=True, verified_at__isnull=False),
        {"last_login": Now(), "password": written},
        placeholders=(pk, stamp, read, written),
    )


@lru_cache(maxsize=2)
def _voiding(_vendor: str) -> CompiledUpdate:
    """Return the update of `void_password`, compiled for a database."""
    pk, written = UUID(int=1), "the hash to write"
    return CompiledUpdate(
        User.objects.filter(pk=pk), {"password": written, "updated_at": Now()}, placeholders=(pk, written)
    )


class User(AbstractBaseUser):
    """Somebody who can sign in.

    `stamp` is carried by every credential and changes with each change that must end them.
    `audit_key` stands for the person in the audit log, so that erasing the account leaves a
    pseudonym behind. The password of a registration that two people claim is unusable until the
    owner of the address sets one.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(_("email address"), max_length=MAX_LENGTH, unique=True)
    name = models.CharField(_("name"), max_length=NAME_MAX_LENGTH)
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.USER)
    is_active = models.BooleanField(_("active"), default=True)
    verified_at = models.DateTimeField(_("verified at"), null=True, blank=True)
    locale = models.CharField(_("language"), max_length=5, choices=Locale.choices, default=Locale.ENGLISH)
    stamp = models.UUIDField(default=uuid4, editable=False)
    audit_key = models.UUIDField(default=uuid4, editable=False, unique=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints: ClassVar = [
            models.UniqueConstraint(Lower("email"), name="user_email_any_case"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["created_at"], name="user_created"),
            models.Index(fields=["role", "verified_at"], name="user_role_verified"),
            models.Index(
                fields=["created_at"], condition=models.Q(verified_at__isnull=True), name="user_unverified_created"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def is_verified(self) -> bool:
        """Whether the person has proved that the address is theirs."""
        return self.verified_at is not None

    @property
    def is_staff(self) -> bool:
        """Whether the admin site is open to this person."""
        return self.role == Role.ADMIN

    @property
    def mfa_enabled(self) -> bool:
        """Whether signing in takes a second factor. None can be enrolled yet."""
        return False

    def has_perm(self, _perm: str, _obj: object = None) -> bool:
        """Tell whether the admin site allows an action: there is one kind of staff."""
        return self.is_active and self.is_staff

    def has_module_perms(self, _app_label: str) -> bool:
        """Tell whether the admin site shows an app."""
        return self.is_active and self.is_staff

    def get_session_auth_hash(self) -> str:
        """Return what an admin session is bound to: it ends with the stamp, like every credential."""
        return salted_hmac("accounts.User.session", f"{self.stamp}", algorithm="sha256").hexdigest()

    def get_session_auth_fallback_hash(self) -> "list[str]":
        """Return no fallbacks: rotating `SECRET_KEY` signs staff out."""
        return []


class ErasureRequest(models.Model):
    """An account whose owner wants it gone: switched off, and erased when `due_at` has passed."""

    user = models.OneToOneField(User, models.CASCADE, primary_key=True, related_name="erasure_request")
    requested_at = models.DateTimeField(_("requested at"), default=timezone.now)
    due_at = models.DateTimeField(_("due at"))

    class Meta:
        verbose_name = _("erasure request")
        verbose_name_plural = _("erasure requests")
        indexes: ClassVar = [models.Index(fields=["due_at"], name="erasure_due")]

    def __str__(self) -> str:
        return f"erasure of {self.pk}"

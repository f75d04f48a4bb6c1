"""What operators and staff do to the accounts of people."""

from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import NAME_MAX_LENGTH, Role, User
from accounts.services import password_rules, profile
from audit import services as audit
from audit.events import EventType
from audit.origin import Origin
from authsvc import hashing
from authsvc.addresses import InvalidAddress, canonical
from authsvc.errors import DomainError, ErrorCode, Kind
from authsvc.text import InvalidCharacter, clean
from authsvc.tokens.models import EndReason
from authsvc.tokens.services import sessions


class UnusableAddress(DomainError):
    """Not an address that mail could be sent to."""

    code = ErrorCode.INVALID_FORMAT
    message = _("This is not a valid email address.")
    field = "email"


class UnusableName(DomainError):
    """Empty, too long, or with characters that no name needs."""

    code = ErrorCode.INVALID_FORMAT
    message = _("A name has 1 to 100 characters, without control characters.")
    field = "name"


class NotAnAdmin(DomainError):
    """The address belongs to somebody who is no administrator; nobody becomes one by accident."""

    code = ErrorCode.EMAIL_TAKEN
    kind = Kind.CONFLICT
    message = _("An account with this address exists and is not an administrator's. Nothing was changed.")
    field = "email"


class UnknownAddress(DomainError):
    """Nobody has an account under this address; for operators, who may know."""

    code = ErrorCode.NOT_FOUND
    kind = Kind.MISSING
    message = _("There is no account with this address.")
    field = "email"


def create_admin(*, email: str, name: str, password: str, origin: Origin, dry_run: bool = False) -> tuple[User, bool]:
    """Create a verified administrator; return it, and whether it is new.

    Where the address is an administrator's already, nothing changes, the password included. A dry
    run checks everything and writes nothing. Raises `UnusableAddress`, `UnusableName`,
    `NotAnAdmin`, `WeakPassword`, `Unavailable`.
    """
    address, name = _address(email), clean_name(name)
    existing = User.objects.filter(email=address).first()
    if existing is not None:
        return _as_admin(existing), False
    password_rules.check_new_password(password, name=name, email=address)
    if dry_run:
        return User(email=address, name=name, role=Role.ADMIN), True
    password_hash = hashing.make(password)
    try:
        return _insert_admin(address, name=name, password_hash=password_hash, origin=origin), True
    except IntegrityError:  # somebody else took the address meanwhile
        return _as_admin(User.objects.get(email=address)), False


def update_person(*, user_id: UUID, name: str, locale: str, origin: Origin) -> User:
    """Set name and language of an account on behalf of staff. Raises `UnusableName`."""
    user = User.objects.get(pk=user_id)
    event = EventType.ACCOUNT_UPDATED_BY_STAFF
    return profile.update(user, name=clean_name(name), locale=locale, event=event, origin=origin)


@transaction.atomic
def change_role(*, user_id: UUID, role: Role, origin: Origin) -> bool:
    """Give a role. With another than before, every session ends: a token says the role of its holder.

    Tell whether it is another. Safe to repeat.
    """
    changed = (
        User.objects.filter(pk=user_id).exclude(role=role).update(role=role, stamp=uuid4(), updated_at=timezone.now())
    )
    if changed:
        user = User.objects.get(pk=user_id)
        metadata = {"role": role.value}
        audit.record(EventType.ACCOUNT_ROLE_CHANGED, origin=origin, subject=user.audit_key, metadata=metadata)
        sessions.end_all(user=user, reason=EndReason.ROLE, origin=origin)
    return bool(changed)


def revoke_sessions(*, email: str, origin: Origin, dry_run: bool = False) -> int:
    """End every session of a person, those of the admin site included; return how many were live.

    The stamp changes, so that pending links end as well. A dry run counts and writes nothing. Safe to
    repeat. Raises `UnusableAddress`, `UnknownAddress`.
    """
    user = person_of(email)
    live = sessions.of_user(user).count()
    if not dry_run:
        _revoke(user, origin=origin)
    return live


def person_of(email: str) -> User:
    """Return the account of an address, however that is written. Raises `UnusableAddress`, `UnknownAddress`."""
    user = User.objects.filter(email=_address(email)).first()
    if user is None:
        raise UnknownAddress
    return user


def clean_name(name: str) -> str:
    """Return a name trimmed and in NFC. Raises `UnusableName`."""
    try:
        name = clean(name)
    except InvalidCharacter as reason:
        raise UnusableName from reason
    if not 1 <= len(name) <= NAME_MAX_LENGTH:
        raise UnusableName
    return name


@transaction.atomic
def _revoke(user: User, *, origin: Origin) -> None:
    # The person's row before those of the sessions, as everywhere: so nobody waits in a circle.
    User.objects.filter(pk=user.pk).update(stamp=uuid4(), updated_at=timezone.now())
    sessions.end_all(user=user, reason=EndReason.STAFF, origin=origin)


@transaction.atomic
def _insert_admin(address: str, *, name: str, password_hash: str, origin: Origin) -> User:
    user = User.objects.create_user(email=address, name=name, password_hash=password_hash)
    user.role, user.verified_at = Role.ADMIN, timezone.now()
    user.save(update_fields=["role", "verified_at", "updated_at"])
    audit.record(EventType.ACCOUNT_ADMIN_CREATED, subject=user.audit_key, origin=origin)
    return user


def _as_admin(user: User) -> User:
    if user.role != Role.ADMIN:
        raise NotAnAdmin
    return user


def _address(email: str) -> str:
    try:
        return canonical(email)
    except InvalidAddress as reason:
        raise UnusableAddress from reason

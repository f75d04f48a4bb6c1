"""Service clients: making them, giving them keys, taking those away."""

import base64
import secrets
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from audit import services as audit
from audit.events import EventType
from audit.origin import Origin
from authsvc import crypto
from authsvc.errors import DomainError, ErrorCode, Kind
from authsvc.text import InvalidCharacter, clean
from authsvc.tokens.models import ServiceClient, ServiceClientKey

Algorithm = ServiceClientKey.Algorithm
SECRET_BYTES = 32


class UnusableClientName(DomainError):
    """Empty, too long, or with characters that no name needs."""

    code = ErrorCode.INVALID_FORMAT
    message = _("A name has 1 to 100 characters, without control characters.")
    field = "name"


class ClientExists(DomainError):
    """A client of this name has a live key: whoever asks again does not get another one by accident."""

    code = ErrorCode.ALREADY_EXISTS
    kind = Kind.CONFLICT
    message = _("A service client with this name exists and has a live key. Nothing was changed.")
    field = "name"


class ClientDisabled(DomainError):
    """The client of this name was disabled, and stays so."""

    code = ErrorCode.PERMISSION_DENIED
    kind = Kind.FORBIDDEN
    message = _("This service client is disabled. Nothing was changed.")
    field = "name"


class UnknownClient(DomainError):
    """There is no client of this name."""

    code = ErrorCode.NOT_FOUND
    kind = Kind.MISSING
    message = _("There is no service client with this name.")
    field = "name"


class UnknownKey(DomainError):
    """There is no key with this id."""

    code = ErrorCode.NOT_FOUND
    kind = Kind.MISSING
    message = _("There is no key with this id.")


class TooManyKeys(DomainError):
    """Two keys are live: the one in use, and the one that is to follow it."""

    code = ErrorCode.ALREADY_EXISTS
    kind = Kind.CONFLICT
    message = _("This service client has two live keys. Revoke one of them first. Nothing was changed.")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made, and the secret that goes to its owner: it exists nowhere else in clear.

    `secret` is a shared secret of 32 bytes in base64url, or a private key as PEM (PKCS #8).
    """

    key: ServiceClientKey
    secret: str = field(repr=False)


def create_client(*, name: str, algorithm: Algorithm, origin: Origin, dry_run: bool = False) -> NewKey:
    """Create a client with its first key; one whose keys are all revoked gets a new one.

    A dry run checks everything and writes nothing. Raises `UnusableClientName`, `ClientExists`,
    `ClientDisabled`.
    """
    name = clean_name(name)
    client = ServiceClient.objects.filter(name=name).first()
    if client is not None:
        _refuse_if_disabled(client)
        if ServiceClientKey.objects.live().filter(client=client).exists():
            raise ClientExists
        return _add(client, algorithm, slots=(1,), origin=origin, dry_run=dry_run)
    if dry_run:
        return _made(ServiceClient(name=name), algorithm)
    try:
        with transaction.atomic():
            client = ServiceClient.objects.create(name=name)
            _record(EventType.MACHINE_CLIENT_CREATED, client, origin=origin)
            return _add(client, algorithm, slots=(1,), origin=origin)
    except IntegrityError as reason:  # somebody else took the name meanwhile
        raise ClientExists from reason


def add_key(*, name: str, algorithm: Algorithm, origin: Origin, dry_run: bool = False) -> NewKey:
    """Give a client a second live key, so that it can change from one to the other without a gap.

    Raises `UnusableClientName`, `UnknownClient`, `ClientDisabled`, `TooManyKeys`.
    """
    client = ServiceClient.objects.filter(name=clean_name(name)).first()
    if client is None:
        raise UnknownClient
    _refuse_if_disabled(client)
    return _add(client, algorithm, slots=ServiceClientKey.SLOTS, origin=origin, dry_run=dry_run)


def revoke_key(*, key_id: UUID, origin: Origin, dry_run: bool = False) -> bool:
    """Revoke a key from this moment on; tell whether it was live. Safe to repeat. Raises `UnknownKey`."""
    key = ServiceClientKey.objects.select_related("client").filter(pk=key_id).first()
    if key is None:
        raise UnknownKey
    if dry_run:
        return key.revoked_at is None
    with transaction.atomic():
        revoked = bool(ServiceClientKey.objects.filter(pk=key_id).revoke())
        if revoked:
            _record(EventType.MACHINE_KEY_REVOKED, key.client, origin=origin, key=key)
    return revoked


def disable(*, client_id: UUID, origin: Origin) -> bool:
    """Refuse a client from this moment on, whatever its keys; tell whether it was enabled. There is no way back."""
    with transaction.atomic():
        disabled = bool(ServiceClient.objects.filter(pk=client_id, disabled_at__isnull=True).update(disabled_at=Now()))
        if disabled:
            _record(EventType.MACHINE_CLIENT_DISABLED, ServiceClient.objects.get(pk=client_id), origin=origin)
    return disabled


def clean_name(name: str) -> str:
    """Return a client's name trimmed and in NFC. Raises `UnusableClientName`."""
    try:
        name = clean(name)
    except InvalidCharacter as reason:
        raise UnusableClientName from reason
    if not 1 <= len(name) <= ServiceClient.NAME_MAX_LENGTH:
        raise UnusableClientName
    return name


def resource(client_id: UUID) -> str:
    """Return how the audit log names a client."""
    return f"client:{client_id}"


def secret_context(key_id: UUID) -> str:
    """Return the place that a shared secret is sealed for."""
    return f"service-client-key:{key_id}"


def _add(
    client: ServiceClient, algorithm: Algorithm, *, slots: tuple[int, ...], origin: Origin, dry_run: bool = False
) -> NewKey:
    """Insert a key into the first free slot. Raises `TooManyKeys`, for the first key alone `ClientExists`."""
    taken = set(ServiceClientKey.objects.live().filter(client=client).values_list("slot", flat=True))
    made = _made(client, algorithm)
    for slot in slots:
        if slot in taken:
            continue
        made.key.slot = slot
        if dry_run or _insert(made.key, origin=origin):
            return made
    raise TooManyKeys if len(slots) > 1 else ClientExists


def _insert(key: ServiceClientKey, *, origin: Origin) -> bool:
    """Insert the key with its entry in the log; tell whether its slot was still free."""
    try:
        with transaction.atomic():
            key.save(force_insert=True)
            _record(EventType.MACHINE_KEY_ADDED, key.client, origin=origin, key=key)
    except IntegrityError:
        return False
    return True


def _made(client: ServiceClient, algorithm: Algorithm) -> NewKey:
    key = ServiceClientKey(client=client, algorithm=algorithm)
    if algorithm is Algorithm.HMAC_SHA256:
        shared = secrets.token_bytes(SECRET_BYTES)
        key.sealed_secret = crypto.seal(shared, context=secret_context(key.id))
        return NewKey(key, base64.urlsafe_b64encode(shared).decode("ascii"))
    private = Ed25519PrivateKey.generate()
    key.public_key = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return NewKey(key, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii"))


def _refuse_if_disabled(client: ServiceClient) -> None:
    if client.disabled_at is not None:
        raise ClientDisabled


def _record(event: EventType, client: ServiceClient, *, origin: Origin, key: ServiceClientKey | None = None) -> None:
    about_key = {} if key is None else {"key": str(key.id), "algorithm": str(key.algorithm)}
    audit.record(event, origin=origin, resource=resource(client.id), metadata={"client": client.name, **about_key})

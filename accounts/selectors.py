"""Reads of people."""

from datetime import datetime
from functools import lru_cache
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import ErasureRequest, User
from authsvc.compiled import CompiledLookup, CompiledValues
from authsvc.mail.models import OutgoingMail
from authsvc.networks import network_of
from authsvc.tokens.models import OneTimeToken, Purpose
from authsvc.tokens.selectors import open_tokens, recent_addresses


def user_by_email(email: str) -> User | None:
    """Return the account of a canonical address, by exact match; nothing where it is due to go."""
    user = holder_of(email)
    return None if user is None or is_lapsed(user, timezone.now()) else user


def holder_of(email: str) -> User | None:
    """Return the account of a canonical address, one that is due to go among them."""
    user: User | None = _by_email(connection.vendor).first(email)
    return user


@lru_cache(maxsize=2)
def _by_email(_vendor: str) -> CompiledLookup:
    rows = User.objects.select_related("erasure_request").filter(email="placeholder")
    return CompiledLookup(rows, placeholders=("placeholder",))


def lock_user(user_id: UUID) -> User | None:
    """Return an account and hold its row until the transaction ends: changes of one account go one by one."""
    user: User | None = _locked(connection.vendor).first(user_id)
    return user


@lru_cache(maxsize=2)
def _locked(_vendor: str) -> CompiledLookup:
    pk = UUID(int=1)
    return CompiledLookup(User.objects.select_for_update().filter(pk=pk), placeholders=(pk,))


def address_is_held(address: str, *, against: User) -> bool:
    """Tell whether an undo may still bring an address back to somebody else than this account.

    To be asked after the write that takes the address, in its transaction: whoever had it until
    then has let go of it by a commit that this sees.
    """
    return who_may_undo(address, against=against) is not None


def who_may_undo(address: str, *, against: User) -> UUID | None:
    """Return who else than an account may get an address back by an undo: one of them, as `address_is_held`."""
    found = _undos(connection.vendor).run(address, against.pk, address)
    return found[0][0] if found else None


@lru_cache(maxsize=2)
def _undos(_vendor: str) -> CompiledValues:
    address, person, present = "address", UUID(int=1), "present address"
    undos = open_tokens(Purpose.UNDO_EMAIL).filter(address=address).exclude(user_id=person).exclude(user__email=present)
    return CompiledValues(undos.values_list("user_id")[:1], placeholders=(address, person, present))


def has_signed_in_from(user: User, ip: str | None) -> bool:
    """Tell whether the owner has signed in from the network of an address (IPv4 address, IPv6 /64)."""
    network = network_of(ip)
    return network is not None and network in {network_of(known) for known in recent_addresses(user)}


def is_lapsed(user: User, now: datetime) -> bool:
    """Tell whether an account counts as absent: unverified for too long, or due to be erased."""
    if not user.is_verified and user.created_at <= now - settings.UNVERIFIED_TTL:
        return True
    return is_erasure_due(user, now)


def is_erasure_due(user: User, now: datetime) -> bool:
    """Tell whether the waiting time of a deletion is over, so that nothing brings the account back."""
    return not user.is_active and hasattr(user, "erasure_request") and user.erasure_request.due_at <= now


def lapsed_users() -> QuerySet[User]:
    """Return the accounts that are due to go because nobody verified them in time."""
    return User.objects.filter(verified_at__isnull=True, created_at__lte=timezone.now() - settings.UNVERIFIED_TTL)


def due_erasures() -> QuerySet[ErasureRequest]:
    """Return the deletions whose waiting time is over."""
    return ErasureRequest.objects.filter(due_at__lte=timezone.now())


def mails_to(user: User) -> QuerySet[OutgoingMail]:
    """Return the mails to a person: to the present address, to one before a change, and whatever carried a link.

    A former address may be somebody else's by now: of its mails those are the person's that were
    queued before the change.
    """
    links = OneTimeToken.objects.filter(user=user)
    theirs = Q(recipient=user.email) | Q(pk__in=list(links.values_list("mail", flat=True)))
    for address, until in links.filter(purpose=Purpose.UNDO_EMAIL).values_list("address", "created_at"):
        theirs |= Q(recipient=address, created_at__lte=until)
    return OutgoingMail.objects.filter(theirs)

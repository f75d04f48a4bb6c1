"""Reads of people."""

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from authsvc.networks import network_of
from authsvc.tokens.selectors import recent_addresses


def user_by_email(email: str) -> User | None:
    """Return the account of a canonical address, by exact match; nothing where it is due to go."""
    user = User.objects.filter(email=email).first()
    return None if user is None or is_lapsed(user, timezone.now()) else user


def lock_user(user_id: UUID) -> User | None:
    """Return an account and hold its row until the transaction ends: changes of one account go one by one."""
    return User.objects.select_for_update().filter(pk=user_id).first()


def has_signed_in_from(user: User, ip: str | None) -> bool:
    """Tell whether the owner has signed in from the network of an address (IPv4 address, IPv6 /64)."""
    network = network_of(ip)
    return network is not None and network in {network_of(known) for known in recent_addresses(user)}


def is_lapsed(user: User, now: datetime) -> bool:
    """Tell whether an account was left unverified for so long that it counts as absent."""
    return not user.is_verified and user.created_at <= now - settings.UNVERIFIED_TTL


def lapsed_users() -> QuerySet[User]:
    """Return the accounts that are due to go because nobody verified them in time."""
    return User.objects.filter(verified_at__isnull=True, created_at__lte=timezone.now() - settings.UNVERIFIED_TTL)

"""Reads of people."""

from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User


def user_by_email(email: str) -> User | None:
    """Return the account of a canonical address, by exact match; nothing where it is due to go."""
    user = User.objects.filter(email=email).first()
    return None if user is None or is_lapsed(user, timezone.now()) else user


def is_lapsed(user: User, now: datetime) -> bool:
    """Tell whether an account was left unverified for so long that it counts as absent."""
    return not user.is_verified and user.created_at <= now - settings.UNVERIFIED_TTL


def lapsed_users() -> QuerySet[User]:
    """Return the accounts that are due to go because nobody verified them in time."""
    return User.objects.filter(verified_at__isnull=True, created_at__lte=timezone.now() - settings.UNVERIFIED_TTL)

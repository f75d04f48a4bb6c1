"""Everything that is over, of accounts and credentials alike, in one sweep."""

from collections.abc import Callable
from functools import partial

from accounts import selectors
from accounts.services import registration
from audit.origin import Origin
from authsvc.tokens.services import expiry

_ACCOUNTS = "accounts"


def purge(*, origin: Origin, tell: Callable[[str, int], None]) -> dict[str, int]:
    """Delete what is over; return how much by kind. `tell` hears of progress: kind, rows so far."""
    dropped = registration.purge_unverified(origin=origin, tell=partial(tell, _ACCOUNTS))
    return {_ACCOUNTS: dropped, **expiry.purge_each(tell=tell)}


def due() -> dict[str, int]:
    """Return by kind how much `purge` would delete."""
    return {_ACCOUNTS: selectors.lapsed_users().count(), **expiry.due()}

"""Everything that is over, of accounts and credentials alike, in one sweep."""

from collections.abc import Callable
from functools import partial

from accounts import selectors
from accounts.services import lifecycle, registration
from audit.origin import Origin
from authsvc.idempotency import reservation
from authsvc.tokens.services import expiry

_ACCOUNTS = "accounts"
_ERASURES = "erasures"
_KEYS = "idempotencyKeys"


def purge(*, origin: Origin, tell: Callable[[str, int], None]) -> dict[str, int]:
    """Delete what is over; return how much by kind. `tell` hears of progress: kind, rows so far."""
    dropped = registration.purge_unverified(origin=origin, tell=partial(tell, _ACCOUNTS))
    erased = lifecycle.erase_due(origin=origin, tell=partial(tell, _ERASURES))
    return {_ACCOUNTS: dropped, _ERASURES: erased, **expiry.purge_each(tell=tell), _KEYS: reservation.purge()}


def due() -> dict[str, int]:
    """Return by kind how much `purge` would delete."""
    return {
        _ACCOUNTS: selectors.lapsed_users().count(),
        _ERASURES: selectors.due_erasures().count(),
        **expiry.due(),
        _KEYS: reservation.due().count(),
    }

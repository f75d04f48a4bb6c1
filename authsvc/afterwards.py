"""Work that begins when the answer is out, so that its time tells nothing to whoever waits for that."""

import logging
from collections.abc import Callable, Iterable

from authsvc.lots import Lots

Work = Callable[[], object]

_log = logging.getLogger(__name__)


def begin(work: Work) -> None:
    """Have something done within moments, on another thread and in no transaction.

    What a process has not done when it is killed is lost: this is for what its user can ask for again.
    """
    _begun.add(work)


def finish() -> None:
    """Return once everything is done that was begun. To be called at the end of a process."""
    _begun.flush()


def _do(works: Iterable[Work]) -> None:
    for work in works:
        try:
            work()
        except Exception as failure:  # noqa: BLE001 - the next one may go well, and nobody waits for this one
            _log.warning("work after an answer failed: %s", type(failure).__name__)


# The pause lets the answer get out first: at work at once, the thread would hold it up by the time it takes.
_begun: Lots[Work] = Lots(_do, name="after-answers", pause_seconds=0.05)

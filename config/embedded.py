"""Embedded mode's worker and clock: threads of the one web process, on a queue in its memory.

Nothing else knows that they are threads. What the queue forgets when the process ends stands in
the outbox, so the first job of every start is the sweep.
"""

import time
from multiprocessing.util import Finalize
from threading import Thread

from celery.beat import Scheduler, Service
from celery.platforms import EX_OK
from celery.worker import WorkController
from celery.worker import state as worker_state
from django.conf import settings

from config.celery import app

_THREADS = 2
_STOP_SECONDS = 3.0
_POLL_SECONDS = 0.02
_TICK_SECONDS = 1


def start() -> None:
    """Start worker and clock in this process, until it ends.

    Raises `RuntimeError` outside embedded mode: elsewhere they are processes of their own.
    """
    if not settings.EMBEDDED:
        raise RuntimeError("only embedded mode works in the web process")
    worker = _Worker()
    clock = Service(app, max_interval=_TICK_SECONDS, scheduler_cls=Scheduler)
    app.send_task("authsvc.mail.tasks.sweep")
    Thread(target=worker.start, name="worker", daemon=True).start()
    Thread(target=clock.start, name="clock", daemon=True).start()
    # Runs at the end of a forked server process, where `atexit` does not.
    Finalize(None, _stop, args=(clock,), exitpriority=100)


class _Worker(WorkController):
    """Celery's worker without its command line: no signal handlers, no banner, no logging of its own."""

    def __init__(self) -> None:
        super().__init__(
            app=app,
            hostname="embedded",
            pool="threads",
            concurrency=_THREADS,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )


def _stop(clock: Service) -> None:
    """Take nothing new, and give running jobs a moment to end; the threads end with their process."""
    clock.stop()
    worker_state.should_stop = EX_OK  # type: ignore[assignment]  # the stubs know only its first value
    deadline = time.monotonic() + _STOP_SECONDS
    while worker_state.active_requests and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)

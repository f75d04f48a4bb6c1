"""Liveness and readiness. What is checked is handed over; this module knows no part."""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from http import HTTPStatus
from threading import Lock, Thread

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

CHECK_TIMEOUT_SECONDS = 1.0

log = logging.getLogger(__name__)

Check = Callable[[], None]
View = Callable[[HttpRequest], HttpResponse]


class Probe:
    """One named check, with a deadline that holds even where the check itself hangs.

    The check runs in a thread of its own, and at most one at a time: probes that overlap share its
    outcome, and while it hangs past the deadline every further probe fails at once. So a frozen
    part costs one thread, however often it is asked after.
    """

    def __init__(self, name: str, check: Check) -> None:
        """`check` returns where the part works and raises anything where it doesn't."""
        self.name = name
        self._check = check
        self._lock = Lock()
        self._outcome: Future[None] | None = None
        self._deadline = 0.0

    def start(self) -> None:
        """Begin a check unless one is under way."""
        with self._lock:
            if self._outcome is not None and not self._outcome.done():
                return
            self._outcome = Future()
            self._deadline = time.monotonic() + CHECK_TIMEOUT_SECONDS
            # A daemon: a frozen part must not keep the process from ending.
            thread = Thread(target=self._run, args=(self._outcome,), name=f"readiness-{self.name}", daemon=True)
            try:
                thread.start()
            except RuntimeError as failure:  # no more threads: try again with the next probe
                self._outcome.set_exception(failure)

    def passed(self) -> bool:
        """Wait for the check under way until its deadline, and tell whether the part works."""
        with self._lock:
            outcome, left = self._outcome, self._deadline - time.monotonic()
        if outcome is None:
            return False
        try:
            failure = outcome.exception(timeout=max(left, 0))
        except TimeoutError as late:
            failure = late
        if failure is not None:
            log.warning("readiness check failed", extra={"check": self.name, "failure": type(failure).__name__})
        return failure is None

    def _run(self, outcome: Future[None]) -> None:
        try:
            self._check()
        except BaseException as failure:  # noqa: BLE001 - handed over to whoever waits
            outcome.set_exception(failure)
        else:
            outcome.set_result(None)


@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """Tell that the process answers. It asks nothing of any other part, so no outage restarts it."""
    return _fresh({"status": "ok"}, HTTPStatus.OK)


def readyz(checks: Mapping[str, Check]) -> View:
    """Return the readiness view over `checks`, each of which returns or raises.

    A part counts as failed after `CHECK_TIMEOUT_SECONDS`; all run side by side. The answer is 503
    where a part named in `READINESS_GATES` failed.
    """
    probes = [Probe(name, check) for name, check in checks.items()]

    @require_safe
    def view(_request: HttpRequest) -> HttpResponse:
        for probe in probes:
            probe.start()
        return _readiness({probe.name: probe.passed() for probe in probes})

    return view


def _readiness(passed: Mapping[str, bool]) -> HttpResponse:
    ready = all(passed.get(gate, True) for gate in settings.READINESS_GATES)
    body = {
        "status": "ready" if ready else "not ready",
        "checks": {name: "ok" if fine else "error" for name, fine in passed.items()},
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return _fresh(body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


def _fresh(body: Mapping[str, object], status: HTTPStatus) -> HttpResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})

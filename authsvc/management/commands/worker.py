"""`manage.py worker`: one process that delivers mail and does the housekeeping."""

import sys
from typing import Any

from celery import current_app
from celery.worker import state as worker_state
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Works until it is told to stop."""

    help = "Run the jobs of the queue at CELERY_BROKER_URL. Ends with Ctrl-C or SIGTERM once running jobs are done."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Work.

        Raises `CommandError` in embedded mode, whose queue no other process can reach.
        """
        if settings.EMBEDDED:
            raise CommandError("Embedded mode needs no worker: `serve` does its jobs.")
        worker = current_app.Worker(
            loglevel=settings.LOG_LEVEL, quiet=True, without_gossip=True, without_mingle=True, without_heartbeat=True
        )
        self.stdout.write(f"authsvc worker ({settings.APP_ENV}) is starting")
        self.stdout.flush()
        worker.start()
        # Celery ends with 1 after Ctrl-C; here a worker that was told to stop, and did, has not failed.
        if worker.exitcode and worker_state.should_stop is None:
            sys.exit(worker.exitcode)

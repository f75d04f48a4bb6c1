"""`manage.py beat`: the clock of the periodic jobs."""

from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Ticks until it is told to stop."""

    help = "Queue the periodic jobs when they are due. Two of these do no harm: every job is safe to run twice."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Tick.

        Raises `CommandError` in embedded mode, whose queue no other process can reach.
        """
        if settings.EMBEDDED:
            raise CommandError("Embedded mode needs no beat: `serve` has its clock.")
        self.stdout.write(f"authsvc beat ({settings.APP_ENV}) is starting")
        self.stdout.flush()
        # In memory: every entry is due by the wall clock, so nothing has to be remembered over a restart.
        current_app.Beat(loglevel=settings.LOG_LEVEL, quiet=True, scheduler="celery.beat:Scheduler").run()

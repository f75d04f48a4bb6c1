"""Delete what is over."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from accounts.services import housekeeping
from audit.origin import Origin

_KINDS = {
    "accounts": "accounts that were never verified",
    "erasures": "deleted accounts whose waiting time was over",
    "sessions": "sessions",
    "oneTimeTokens": "one-time tokens",
    "nonces": "nonces of signed requests",
    "knownDevices": "devices that were not seen for a year",
    "idempotencyKeys": "idempotency keys",
    "accountChanges": "notes of changes that processes have read",
}


class Command(BaseCommand):
    """Delete the rows of what is over. Safe to repeat, and to run beside the hourly jobs that do the same."""

    help = (
        "Delete accounts that nobody verified in time, erase deleted ones whose waiting time is over, and delete the "
        "rows of devices that were not seen for a year, and of sessions, one-time tokens, nonces and idempotency keys "
        "that were over long ago. The same is done by the hour where a beat runs. Nothing that still works is touched."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        parser.add_argument("--dry-run", action="store_true", help="count what is due, delete nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Parse, call the service, say what came of it."""
        dry_run = options["dry_run"]
        try:
            found = (
                housekeeping.due()
                if dry_run
                else housekeeping.purge(origin=Origin.system("purge_expired"), tell=self._tell)
            )
        except DatabaseError as failure:
            raise CommandError(f"The database refused: {str(failure).partition(chr(10))[0]}") from failure
        if options["json"]:
            self.stdout.write(json.dumps({**found, "dryRun": dry_run}))
            return
        for kind, name in _KINDS.items():
            self.stdout.write(f"{name}: {found[kind]} {'would go' if dry_run else 'deleted'}")

    def _tell(self, kind: str, deleted: int) -> None:
        self.stderr.write(f"{_KINDS[kind]}: {deleted} deleted so far")

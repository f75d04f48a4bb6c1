"""Erase a person."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from accounts.services import export, lifecycle, staff
from audit.origin import Origin
from authsvc.errors import DomainError


class Command(BaseCommand):
    """Erase a person at once, without a waiting time."""

    help = (
        "Erase a person at once, without a waiting time and without a way back: the account, its sessions, devices, "
        "links and mails. The audit log keeps what happened under a pseudonym, without addresses and details. "
        "Takes --yes. An erasure that was interrupted is finished by running this again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("email", metavar="E", help="the person's address")
        parser.add_argument("--yes", action="store_true", help="really erase; nothing brings the person back")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        parser.add_argument("--dry-run", action="store_true", help="tell what would go, erase nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Parse, call the service, say what came of it."""
        dry_run = options["dry_run"]
        if not (options["yes"] or dry_run):
            raise CommandError(
                "This erases a person for good. Say --yes if you mean it, --dry-run to see what would go."
            )
        try:
            user = staff.person_of(options["email"])
            totals = export.totals(user)
            if not dry_run:
                self.stderr.write(f"{user.email}: erasing")
                lifecycle.erase(user_id=user.pk, origin=Origin.system("erase_user"))
        except DomainError as refusal:
            raise CommandError(str(refusal.problems[0].message)) from refusal
        except DatabaseError as failure:
            raise CommandError(f"The database refused: {str(failure).partition(chr(10))[0]}") from failure
        if options["json"]:
            self.stdout.write(json.dumps({"email": user.email, "erased": not dry_run, **totals, "dryRun": dry_run}))
            return
        self.stdout.write(f"{user.email} {'would be' if dry_run else 'was'} erased, with")
        for kind, count in totals.items():
            what = "entries of the audit log, blanked" if kind == "activity" else kind
            self.stdout.write(f"  {what}: {count}")

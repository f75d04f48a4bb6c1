"""End every session of a person."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from accounts.services import staff
from audit.origin import Origin
from authsvc.errors import DomainError


class Command(BaseCommand):
    """End every session of a person at once. Safe to repeat."""

    help = (
        "End every session of a person, on every node, at once: access and refresh tokens, the admin site, and links "
        "that were mailed. The person can sign in again. Safe to repeat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("email", metavar="E", help="the person's address")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        parser.add_argument("--dry-run", action="store_true", help="count the live sessions, end none")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Parse, call the service, say what came of it."""
        email, dry_run = options["email"], options["dry_run"]
        try:
            ended = staff.revoke_sessions(email=email, origin=Origin.system("revoke_sessions"), dry_run=dry_run)
        except DomainError as refusal:
            raise CommandError(str(refusal.problems[0].message)) from refusal
        except DatabaseError as failure:
            raise CommandError(f"The database refused: {str(failure).partition(chr(10))[0]}") from failure
        if options["json"]:
            self.stdout.write(json.dumps({"email": email, "sessions": ended, "dryRun": dry_run}))
        else:
            self.stdout.write(f"Live sessions of {email} that {'would be' if dry_run else 'were'} ended: {ended}.")

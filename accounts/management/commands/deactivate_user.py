"""Switch a person's account off."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from accounts.services import lifecycle, staff
from audit.origin import Origin
from authsvc.errors import DomainError


class Command(BaseCommand):
    """Switch an account off at once. Safe to repeat."""

    help = (
        "Switch a person's account off, on every node, at once: every session and every mailed link ends, and nobody "
        "signs in. Of an account that waits for its deletion the link that restores it ends. Safe to repeat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("email", metavar="E", help="the person's address")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        parser.add_argument("--dry-run", action="store_true", help="tell whether the account is on, switch nothing off")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Parse, call the service, say what came of it."""
        email, dry_run = options["email"], options["dry_run"]
        try:
            user = staff.person_of(email)
            changed = (
                user.is_active
                if dry_run
                else lifecycle.deactivate(user_id=user.pk, origin=Origin.system("deactivate_user"))
            )
        except DomainError as refusal:
            raise CommandError(str(refusal.problems[0].message)) from refusal
        except DatabaseError as failure:
            raise CommandError(f"The database refused: {str(failure).partition(chr(10))[0]}") from failure
        if options["json"]:
            self.stdout.write(json.dumps({"email": user.email, "deactivated": changed, "dryRun": dry_run}))
        elif changed:
            self.stdout.write(f"{user.email} {'would be' if dry_run else 'was'} switched off.")
        else:
            self.stdout.write(f"{user.email} is off already. Nothing was changed.")

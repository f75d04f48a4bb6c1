"""Print everything held about a person."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError

from accounts.services import export, staff
from audit.origin import Origin
from authsvc.errors import DomainError


class Command(BaseCommand):
    """Print what `GET /users/me/export` gives to the person."""

    help = (
        "Print everything held about a person as JSON on standard output, secrets excepted: what GET /users/me/export "
        "gives them. The audit log notes it. Of each list the newest 10,000 entries."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("email", metavar="E", help="the person's address")
        parser.add_argument("--json", action="store_true", help="print it in one line")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Parse, call the service, print what it gives."""
        try:
            user = staff.person_of(options["email"])
            found = export.take_out(user, origin=Origin.system("export_user"))
        except DomainError as refusal:
            raise CommandError(str(refusal.problems[0].message)) from refusal
        except DatabaseError as failure:
            raise CommandError(f"The database refused: {str(failure).partition(chr(10))[0]}") from failure
        counts = ", ".join(f"{kind} {count}" for kind, count in sorted(found["totals"].items()))
        self.stderr.write(f"{user.email}: {counts}")
        indent = None if options["json"] else 2
        self.stdout.write(json.dumps(found, cls=DjangoJSONEncoder, indent=indent, ensure_ascii=False))

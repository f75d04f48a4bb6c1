"""Create an administrator."""

import json
import sys
from argparse import ArgumentParser
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from accounts.models import User
from accounts.services import staff
from audit.origin import Origin
from authsvc.errors import DomainError


class Command(BaseCommand):
    """Create an administrator, verified at once. Safe to repeat."""

    help = (
        "Create an administrator, verified at once. Where one with this address exists, nothing changes "
        "(the password neither). An address of somebody else's account is refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--email", required=True, help="the address to sign in with")
        parser.add_argument("--name", required=True, help="the person's name")
        parser.add_argument(
            "--password-stdin", action="store_true", help="read the password from the first line of standard input"
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        parser.add_argument("--dry-run", action="store_true", help="check everything, write nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Parse, call the service, say what came of it."""
        password = _one_line() if options["password_stdin"] else _asked_twice()
        try:
            user, created = staff.create_admin(
                email=options["email"],
                name=options["name"],
                password=password,
                origin=Origin.system("create_admin"),
                dry_run=options["dry_run"],
            )
        except DomainError as refusal:
            raise CommandError(" ".join(str(problem.message) for problem in refusal.problems)) from refusal
        except DatabaseError as failure:
            raise CommandError(f"The database refused: {str(failure).partition(chr(10))[0]}") from failure
        self.stdout.write(_described(user, created=created, **options))


def _described(user: User, *, created: bool, dry_run: bool, json: bool, **_options: Any) -> str:
    if json:
        return _as_json(user, created=created, dry_run=dry_run)
    if not created:
        return f"{user.email} is an administrator already. Nothing was changed."
    return f"{user.email} would become an administrator." if dry_run else f"{user.email} is an administrator now."


def _as_json(user: User, *, created: bool, dry_run: bool) -> str:
    return json.dumps(
        {
            "id": None if created and dry_run else str(user.pk),
            "email": user.email,
            "name": user.name,
            "role": user.role,
            "created": created,
            "dryRun": dry_run,
        }
    )


def _one_line() -> str:
    try:
        password = sys.stdin.readline().rstrip("\r\n")
        password.encode()  # what the terminal's encoding could not read arrives as lone surrogates
    except UnicodeError as reason:
        raise CommandError("The password on standard input is not UTF-8.") from reason
    if "\0" in password:
        raise CommandError("The password on standard input contains a NUL, which no sign-in page takes.")
    if not password:
        raise CommandError("There is no password on standard input.")
    return password


def _asked_twice() -> str:
    try:
        password, again = getpass("Password: "), getpass("Password again: ")
    except EOFError as reason:
        raise CommandError("Nobody is there to type a password: use --password-stdin.") from reason
    if password != again:
        raise CommandError("The two passwords differ.")
    return password

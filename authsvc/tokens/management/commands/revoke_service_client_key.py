"""Revoke a key of a service client."""

import json
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from audit.origin import Origin
from authsvc.errors import DomainError
from authsvc.tokens.services import clients


class Command(BaseCommand):
    """Revoke a key at once. Safe to repeat."""

    help = "Revoke a key of a service client: what it signs is refused from this moment on. Safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("key_id", metavar="KEYID", type=UUID, help="the key's id, as create_service_client said")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        parser.add_argument("--dry-run", action="store_true", help="check everything, write nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Parse, call the service, say what came of it."""
        key_id, dry_run = options["key_id"], options["dry_run"]
        origin = Origin.system("revoke_service_client_key")
        try:
            revoked = clients.revoke_key(key_id=key_id, origin=origin, dry_run=dry_run)
        except DomainError as refusal:
            raise CommandError(str(refusal.problems[0].message)) from refusal
        except DatabaseError as failure:
            raise CommandError(f"The database refused: {str(failure).partition(chr(10))[0]}") from failure
        if options["json"]:
            self.stdout.write(json.dumps({"keyId": str(key_id), "revoked": revoked, "dryRun": dry_run}))
        elif not revoked:
            self.stdout.write(f"{key_id} is revoked already. Nothing was changed.")
        else:
            self.stdout.write(f"{key_id} {'would be' if dry_run else 'is'} revoked.")

"""Create a service client, or give one its next key."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from audit.origin import Origin
from authsvc.errors import DomainError, ErrorCode
from authsvc.tokens.services import clients
from authsvc.tokens.services.clients import Algorithm, NewKey


class Command(BaseCommand):
    """Create a service client with a key, whose secret is printed once."""

    help = (
        "Create a service client, which may introspect and revoke tokens, and print its key. The secret is shown once "
        "and kept nowhere in clear. Where a client of this name has a live key, nothing changes, unless --add-key asks "
        "for a second one: move the service to it, then revoke the first with revoke_service_client_key."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--name", required=True, help="what the service is called")
        parser.add_argument(
            "--algorithm",
            choices=Algorithm.values,
            default=Algorithm.HMAC_SHA256.value,
            help="what it signs with: a secret that both sides have (hmac-sha256, the default), "
            "or a private key that only the service has (ed25519)",
        )
        parser.add_argument("--add-key", action="store_true", help="add a second live key to an existing client")
        parser.add_argument("--json", action="store_true", help="print the key as JSON")
        parser.add_argument("--dry-run", action="store_true", help="check everything, write nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Parse, call the service, print what nobody will see again."""
        make = clients.add_key if options["add_key"] else clients.create_client
        try:
            made = make(
                name=options["name"],
                algorithm=Algorithm(options["algorithm"]),
                origin=Origin.system("create_service_client"),
                dry_run=options["dry_run"],
            )
        except DomainError as refusal:
            hint = " Use --add-key for a second key." if refusal.code is ErrorCode.ALREADY_EXISTS else ""
            hint = "" if options["add_key"] else hint
            raise CommandError(str(refusal.problems[0].message) + hint) from refusal
        except DatabaseError as failure:
            raise CommandError(f"The database refused: {str(failure).partition(chr(10))[0]}") from failure
        describe = _as_json if options["json"] else _as_text
        self.stdout.write(describe(made, dry_run=options["dry_run"]))


def _as_text(made: NewKey, *, dry_run: bool) -> str:
    if dry_run:
        return f"{made.key.client.name} would get a key for {made.key.algorithm}."
    return "\n".join(
        (
            f"client id: {made.key.client.id}",
            f"key id:    {made.key.id}",
            f"algorithm: {made.key.algorithm}",
            "secret, shown this once:",
            made.secret.strip(),
        )
    )


def _as_json(made: NewKey, *, dry_run: bool) -> str:
    if dry_run:
        ids = dict.fromkeys(("clientId", "keyId", "secret"))
        return json.dumps({**ids, "algorithm": made.key.algorithm, "dryRun": True})
    return json.dumps(
        {
            "clientId": str(made.key.client.id),
            "keyId": str(made.key.id),
            "algorithm": str(made.key.algorithm),
            "secret": made.secret,
        }
    )

"""Move everything that is sealed to the first of `ENCRYPTION_KEYS`."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from authsvc import crypto
from authsvc.idempotency.models import Reservation
from authsvc.mail.models import OutgoingMail
from authsvc.reencryption import reseal
from authsvc.tokens.models import ServiceClientKey, Session, SigningKey
from authsvc.tokens.services import clients, key_material


class Command(BaseCommand):
    """Seal anew whatever an older key sealed. Safe to repeat."""

    help = (
        "Seal signing keys, secrets of service clients, waiting mails and kept answers anew under the first of "
        "ENCRYPTION_KEYS. Sessions move by themselves with their next refresh; how many have not yet is told, because "
        "the old key must stay until then."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="print the counts as JSON")
        parser.add_argument("--dry-run", action="store_true", help="count only, change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Reseal every table that holds something sealed, with a line of progress for each."""
        counts: dict[str, int] = {}
        for name, rows, column, context in _SEALED:
            self.stderr.write(f"{name} ...")
            try:
                counts[name] = reseal(rows(), column, context=context, dry_run=options["dry_run"])
            except (crypto.KeyUnavailable, crypto.Tampered) as failure:
                raise CommandError(f"{name}: a row does not open with any of ENCRYPTION_KEYS") from failure
        counts["sessionsLeft"] = Session.objects.live().exclude(refresh_key_id=crypto.current_key_id()).count()
        self.stdout.write(json.dumps(counts) if options["json"] else _as_text(counts, dry_run=options["dry_run"]))


_SEALED = (
    ("signingKeys", SigningKey.objects.all, "sealed_private", lambda row: key_material.context(row.kid)),
    ("serviceClientKeys", ServiceClientKey.objects.all, "sealed_secret", lambda row: clients.secret_context(row.pk)),
    ("waitingMails", OutgoingMail.objects.all, "sealed", OutgoingMail.context_seal),
    ("keptMails", OutgoingMail.objects.all, "rendered", OutgoingMail.rendered_seal),
    ("idempotencyKeys", Reservation.objects.all, "sealed_body_key", Reservation.body_key_seal),
    ("keptAnswers", Reservation.objects.all, "sealed_answer", Reservation.answer_seal),
)


def _as_text(counts: dict[str, int], *, dry_run: bool) -> str:
    verb = "would be sealed anew" if dry_run else "sealed anew"
    lines = [f"{name}: {count} {verb}" for name, count in counts.items() if name != "sessionsLeft"]
    return "\n".join([*lines, f"{counts['sessionsLeft']} live sessions still rest on an older key."])

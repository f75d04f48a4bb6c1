"""Try whether mails arrive."""

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from authsvc.addresses import InvalidAddress, canonical
from authsvc.mail import trial
from authsvc.mail.models import MailState, OutgoingMail

_WAIT_SECONDS = 10.0


class Command(BaseCommand):
    """Queue a test mail, and tell what became of it. Each run sends one."""

    help = (
        "Queue a test mail, as any other mail is, and wait for a worker to send it. Exit 1 where the address is none "
        "or the mail server refused the mail for good; a mail that still waits is tried again by the workers."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("email", metavar="E", help="where to send it")
        parser.add_argument("--language", choices=[code for code, _name in settings.LANGUAGES], default="en")
        parser.add_argument(
            "--wait", type=float, default=_WAIT_SECONDS, metavar="SECONDS", help="how long to wait (default: 10)"
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Parse, queue, wait, say what came of it."""
        try:
            to = canonical(options["email"])
        except InvalidAddress as reason:
            raise CommandError(f"This is no email address: {reason}.") from reason
        try:
            queued = trial.queue(to=to, language=options["language"])
            mail = trial.outcome(queued.pk, wait_seconds=options["wait"])
        except DatabaseError as failure:
            raise CommandError(f"The database refused: {str(failure).partition(chr(10))[0]}") from failure
        if options["json"]:
            result = {"id": str(mail.pk), "to": to, "state": mail.state, "attempts": mail.attempts}
            self.stdout.write(json.dumps({**result, "lastError": mail.last_error}))
        if mail.state == MailState.GIVEN_UP:
            raise CommandError(f"Given up: {mail.last_error}.")
        if not options["json"]:
            self.stdout.write(_as_text(mail, waited=options["wait"]))


def _as_text(mail: OutgoingMail, *, waited: float) -> str:
    if mail.state == MailState.SENT:
        where = "shown at /mailbox" if settings.EMBEDDED else "accepted by the mail server"
        return f"Mail {mail.pk} to {mail.recipient} was sent: {where}."
    if mail.attempts:
        failure = mail.last_error or "no answer yet"
        return f"Mail {mail.pk} to {mail.recipient} is queued; attempts: {mail.attempts}, the last: {failure}."
    return f"Mail {mail.pk} to {mail.recipient} is queued; no worker took it within {waited:g} seconds."

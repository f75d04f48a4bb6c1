"""Rotate the keys that sign access tokens."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from audit.origin import Origin
from authsvc.tokens.services import keys
from authsvc.tokens.services.keys import Rotation


class Command(BaseCommand):
    """Let the next key sign. Safe to repeat."""

    help = (
        "Let the next signing key sign, and publish one that follows it. A key is published for ten minutes before "
        "it signs: asked for earlier, nothing changes. Tokens of the old key stay good until they end. With --now, "
        "for a leak, a new key signs at once and the old one's tokens are refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--now", action="store_true", help="a key has leaked: drop it, and refuse its tokens")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        parser.add_argument("--dry-run", action="store_true", help="tell what would happen, change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Call the service, say what came of it."""
        rotation = keys.rotate(
            at_once=options["now"], dry_run=options["dry_run"], origin=Origin.system("rotate_signing_keys")
        )
        self.stdout.write(_as_json(rotation, **options) if options["json"] else _as_text(rotation, **options))


def _as_text(rotation: Rotation, *, dry_run: bool, **_options: Any) -> str:
    if not rotation.rotated:
        return f"{rotation.active} goes on signing: {rotation.next} may follow it from {_ready_at(rotation)} on."
    if dry_run:
        return "The next key would sign."
    return f"{rotation.active} signs now; {rotation.next} is published to follow it."


def _as_json(rotation: Rotation, *, dry_run: bool, now: bool, **_options: Any) -> str:
    unmade = dry_run and rotation.rotated  # names of keys that a dry run took back
    return json.dumps(
        {
            "rotated": rotation.rotated,
            "active": None if unmade and now else rotation.active,
            "next": None if unmade else rotation.next,
            "readyAt": _ready_at(rotation),
            "dryRun": dry_run,
        }
    )


def _ready_at(rotation: Rotation) -> str | None:
    return rotation.ready_at.isoformat(timespec="seconds") if rotation.ready_at else None

"""Signing keys on their way through time, and what of them the world sees."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import jwt
from django.core.management import call_command
from django.utils import timezone

from authsvc.tokens.models import SigningKey
from authsvc.tokens.services.keys import PUBLISHED_BEFORE_USE, KeyRing, _Look, ring
from tests.cast import Api

JWKS = "/.well-known/jwks.json"


def pass_time(seconds: float, keys: KeyRing = ring) -> None:
    """Let the ring's last look at the database be so much older."""
    last = keys._last
    keys._last = _Look(last.at - seconds, last.active, last.keys)


def ripen(ago: timedelta = PUBLISHED_BEFORE_USE) -> None:
    """Let the next key have been published so long ago: usually long enough to sign."""
    assert SigningKey.objects.filter(state="next").update(created_at=timezone.now() - ago) == 1


def rotate(*options: str) -> str:
    """Run the operator's command; return what it says."""
    out = StringIO()
    call_command("rotate_signing_keys", *options, stdout=out)
    return out.getvalue()


def rotated(*options: str) -> dict[str, Any]:
    """Run the command, which must rotate; return its JSON."""
    said: dict[str, Any] = json.loads(rotate("--json", *options))
    assert said["rotated"] is True
    return said


def key(state: str) -> SigningKey:
    """Return the one key in that state."""
    return SigningKey.objects.get(state=state)


def kids(*states: str) -> set[str]:
    """Return the names of all keys, or of those in these states."""
    rows = SigningKey.objects.filter(state__in=states) if states else SigningKey.objects.all()
    return set(rows.values_list("kid", flat=True))


def everything() -> list[dict[str, Any]]:
    """Return every column of every key."""
    return [{**row, "sealed_private": bytes(row["sealed_private"])} for row in SigningKey.objects.order_by().values()]


def published(api: Api) -> list[str]:
    """Return the names in the key set, in its order."""
    return [jwk["kid"] for jwk in api.get(JWKS).body["keys"]]


def kid_of(token: str) -> str:
    """Return the name of the key that a token says it is signed with."""
    return str(jwt.get_unverified_header(token)["kid"])

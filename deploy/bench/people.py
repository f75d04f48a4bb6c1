"""The people of a measurement, put straight into the database of the stack."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from django.contrib.auth import get_user_model
from django.utils import timezone

from authsvc import hashing

PASSWORD = "bench-Horse-7-battery"  # noqa: S105 - everybody's, and nobody's after the run
WRONG_PASSWORD = "bench-Horse-8-stapler"  # noqa: S105
NAME = "Ada Lovelace"


class Kind(StrEnum):
    """What the service knows of an address."""

    UNKNOWN = "unknown"
    KNOWN = "known"
    UNVERIFIED = "unverified"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an address of their own, all of the same length."""

    kind: Kind
    email: str


def people(kinds: Iterable[Kind]) -> list[Person]:
    """Return one new person for each kind; those who have an account share one password hash."""
    made = [Person(kind, f"{secrets.token_hex(12)}@bench.example.org") for kind in kinds]
    model, now = get_user_model(), timezone.now()
    model.objects.bulk_create(
        [
            model(
                email=person.email,
                name=NAME,
                password=_password_hash(),
                verified_at=None if person.kind is Kind.UNVERIFIED else now,
                is_active=person.kind is not Kind.INACTIVE,
            )
            for person in made
            if person.kind is not Kind.UNKNOWN
        ],
        batch_size=500,
    )
    return made


@cache
def _password_hash() -> str:
    return hashing.make(PASSWORD)

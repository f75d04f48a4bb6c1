"""Sealing anew, under the first of `ENCRYPTION_KEYS`, what rests sealed under an older one."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

from authsvc import crypto


def reseal(rows: QuerySet[Any], column: str, *, context: Callable[[Any], str], dry_run: bool) -> int:
    """Seal a column of every row anew that an older key sealed; return how many there were.

    A row that changes meanwhile is left as its change made it. Raises `crypto.KeyUnavailable` where
    the key of a row is not configured any more. Safe to repeat.
    """
    current = crypto.current_key_id()
    resealed = 0
    for row in rows.iterator(chunk_size=500):
        sealed = bytes(getattr(row, column) or b"")
        if not sealed or sealed.startswith(current):
            continue
        anew = crypto.seal(crypto.unseal(sealed, context=context(row)), context=context(row))
        if not dry_run:
            rows.model.objects.filter(pk=row.pk, **{column: sealed}).update(**{column: anew})
        resealed += 1
    return resealed

"""Whose sessions must be read anew by the processes that remember them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.db import models
from django.db.models.functions import Now


class AccountChangeQuerySet(models.QuerySet["AccountChange"]):
    """The one question that is asked."""

    def of_the_last(self, period: timedelta, *, most: int) -> Iterator[tuple[int, UUID, datetime]]:
        """Return id, user and time of the changes of that period, by the database's clock; no more than `most`."""
        return self.filter(at__gt=Now() - period).values_list("id", "user_id", "at")[:most].iterator()


class AccountChange(models.Model):
    """A change of an account or of one of its sessions that what is remembered of them must not outlive.

    On PostgreSQL triggers write these rows (see the migration), so that no code path and no console
    gets around them. SQLite serves a single process that reads every time.
    """

    id = models.BigAutoField(primary_key=True)
    user_id = models.UUIDField()
    at = models.DateTimeField(db_default=Now())

    objects: ClassVar[models.Manager["AccountChange"]] = AccountChangeQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["at"], name="account_change_at")]

    def __str__(self) -> str:
        return f"change of {self.user_id}"

"""`manage.py migrate`, without the time limit that requests have."""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from authsvc.bounded import BoundedConnection


class Command(migrate.Command):
    """Migrates as Django does; an index on a large table may take longer than any request may."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Lift the limits on statements, the server's and ours; the one on waiting for locks stays."""
        BoundedConnection.wait_seconds = None
        connection = connections[options["database"]]
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET statement_timeout = 0")
        super().handle(*args, **options)

"""Changes of the schema that a live, large table takes without a pause."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.migrations.operations import AddIndex


class AddIndexOnline(AddIndexConcurrently):
    """Adds an index while others write. Its migration sets `atomic = False`, and holds nothing else.

    It waits as long as it takes for the transactions that are under way, for nobody waits for it. What
    an interrupted run left of the index is of no use, and is made anew. SQLite knows no such thing, and
    has no table for which it would matter.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Add the index."""
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute("SET lock_timeout = 0")
            super().database_backwards(app_label, schema_editor, to_state, from_state)
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            schema_editor.execute("RESET lock_timeout")
        else:
            AddIndex.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Take the index away again."""
        if schema_editor.connection.vendor == "postgresql":
            super().database_backwards(app_label, schema_editor, from_state, to_state)
        else:
            AddIndex.database_backwards(self, app_label, schema_editor, from_state, to_state)

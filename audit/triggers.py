"""What keeps the log append-only: triggers, so that no code path and no console gets around them.

DELETE is refused. UPDATE is refused, except the one that erasing a person needs: it sets `ip` to
NULL, `user_agent` to '' and `metadata` to {} and leaves every other column as it was. A refusal
surfaces as `IntegrityError`.

SQLite drops a table's triggers when Django rebuilds the table, which it does for most alterations:
a migration that alters `audit_event` ends with `install` again.
"""

from django.db.backends.base.schema import BaseDatabaseSchemaEditor

POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION audit_event_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE'
        AND NEW.ip IS NULL AND NEW.user_agent = '' AND NEW.metadata = '{}'::jsonb
        AND to_jsonb(NEW) - '{ip,user_agent,metadata}'::text[] = to_jsonb(OLD) - '{ip,user_agent,metadata}'::text[]
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'audit_event is append-only' USING ERRCODE = 'restrict_violation';
END
$$
"""
POSTGRESQL_TRIGGER = """
CREATE OR REPLACE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE ON audit_event
FOR EACH ROW EXECUTE FUNCTION audit_event_guard()
"""

SQLITE_DELETE_TRIGGER = """
CREATE TRIGGER IF NOT EXISTS audit_event_no_delete BEFORE DELETE ON audit_event
BEGIN
    SELECT RAISE(ABORT, 'audit_event is append-only');
END
"""
DROP_SQLITE_DELETE_TRIGGER = "DROP TRIGGER IF EXISTS audit_event_no_delete"
# REPLACE removes the old row without firing the delete trigger.
SQLITE_REPLACE_TRIGGER = """
CREATE TRIGGER IF NOT EXISTS audit_event_no_replace BEFORE INSERT ON audit_event
WHEN EXISTS (SELECT 1 FROM audit_event WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'audit_event is append-only');
END
"""
SQLITE_UPDATE_TRIGGER = """
CREATE TRIGGER IF NOT EXISTS audit_event_no_update BEFORE UPDATE ON audit_event
WHEN NOT (
    NEW.ip IS NULL AND NEW.user_agent = '' AND NEW.metadata = '{}'
    AND NEW.id IS OLD.id AND NEW.action IS OLD.action AND NEW.outcome IS OLD.outcome
    AND NEW.actor IS OLD.actor AND NEW.subject IS OLD.subject AND NEW.resource IS OLD.resource
    AND NEW.request_id IS OLD.request_id AND NEW.session_id IS OLD.session_id AND NEW.created_at IS OLD.created_at
)
BEGIN
    SELECT RAISE(ABORT, 'audit_event is append-only');
END
"""

INSTALL = {
    "postgresql": (POSTGRESQL_FUNCTION, POSTGRESQL_TRIGGER),
    "sqlite": (SQLITE_DELETE_TRIGGER, SQLITE_REPLACE_TRIGGER, SQLITE_UPDATE_TRIGGER),
}
REMOVE = {
    "postgresql": (
        "DROP TRIGGER IF EXISTS audit_event_append_only ON audit_event",
        "DROP FUNCTION IF EXISTS audit_event_guard()",
    ),
    "sqlite": (
        DROP_SQLITE_DELETE_TRIGGER,
        "DROP TRIGGER IF EXISTS audit_event_no_replace",
        "DROP TRIGGER IF EXISTS audit_event_no_update",
    ),
}


def install(_apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the table append-only. Safe to repeat."""
    for statement in INSTALL[editor.connection.vendor]:
        editor.execute(statement, params=None)


def remove(_apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """Undo `install`."""
    for statement in REMOVE[editor.connection.vendor]:
        editor.execute(statement, params=None)

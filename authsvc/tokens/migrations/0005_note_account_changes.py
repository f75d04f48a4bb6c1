from django.conf import settings
from django.db import migrations, transaction

FUNCTION = """
CREATE OR REPLACE FUNCTION tokens_note_account_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_ARGV[0] = 'session' THEN
        INSERT INTO tokens_accountchange (user_id, at) VALUES (OLD.user_id, clock_timestamp());
    ELSE
        INSERT INTO tokens_accountchange (user_id, at) VALUES (OLD.id, clock_timestamp());
    END IF;
    RETURN NULL;
END
$$
"""
# What a request may read of a session or of its user. `last_login` is only shown, and changes with every sign-in.
SESSION = ("user_id", "stamp", "ended_at", "authenticated_at", "device_name", "amr", "known_device_id")
USER = ("stamp", "is_active", "verified_at", "role", "email", "name", "locale", "password")
# Deferred, so that a change is noted as late as it is committed, however long its transaction was: whoever asks
# for the changes of the last minute misses none.
TRIGGERS = """
CREATE CONSTRAINT TRIGGER {table}_noted_update AFTER UPDATE OF {columns} ON {table}
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN ({changed}) EXECUTE FUNCTION tokens_note_account_change('{kind}');
CREATE CONSTRAINT TRIGGER {table}_noted_delete AFTER DELETE ON {table}
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN ({live}) EXECUTE FUNCTION tokens_note_account_change('{kind}')
"""


def triggers(apps, schema_editor):
    user = apps.get_model(settings.AUTH_USER_MODEL)._meta.db_table
    yield "tokens_session", SESSION, "session", "OLD.ended_at IS NULL"
    yield user, USER, "user", "TRUE"


def install(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(FUNCTION)
    for table, columns, kind, live in triggers(apps, schema_editor):
        changed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)
        with transaction.atomic(using=schema_editor.connection.alias):
            drop(table, schema_editor)  # those of a run that was interrupted after this table
            schema_editor.execute(
                TRIGGERS.format(table=table, columns=", ".join(columns), changed=changed, live=live, kind=kind)
            )


def remove(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, *_rest in triggers(apps, schema_editor):
        with transaction.atomic(using=schema_editor.connection.alias):
            drop(table, schema_editor)
    schema_editor.execute("DROP FUNCTION IF EXISTS tokens_note_account_change()")


def drop(table, schema_editor):
    schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_noted_update ON {table}")
    schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_noted_delete ON {table}")


class Migration(migrations.Migration):
    # One table at a time: requests hold the users' while they write to that of sessions.
    atomic = False

    dependencies = [
        ("tokens", "0004_account_changes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [migrations.RunPython(install, remove)]

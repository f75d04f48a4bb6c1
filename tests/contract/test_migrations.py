"""The schema of the database: complete, made from nothing, and with its own word on what may be in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model

from accounts.models import User
from tests.cast import enrol

ROOT = Path(__file__).resolve().parents[2]
OURS = ("accounts", "tokens", "mail", "idempotency", "audit")

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def constraints(model: type[Model]) -> set[str]:
    with connection.cursor() as cursor:
        return set(connection.introspection.get_constraints(cursor, model._meta.db_table))


def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_an_empty_database_was_brought_to_the_newest_state() -> None:
    executor = MigrationExecutor(connection)

    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []
    assert {app for app, _name in MigrationRecorder(connection).applied_migrations()} >= set(OURS)


def test_every_table_and_column_of_the_models_is_there() -> None:
    with connection.cursor() as cursor:
        for label in OURS:
            for model in apps.get_app_config(label).get_models():
                table = connection.introspection.get_table_description(cursor, model._meta.db_table)
                assert {column.name for column in table} == {field.column for field in model._meta.concrete_fields}


def test_every_named_constraint_and_index_of_the_models_is_there() -> None:
    for label in OURS:
        for model in apps.get_app_config(label).get_models():
            named = {item.name for item in [*model._meta.constraints, *model._meta.indexes]}
            assert named <= constraints(model), model


@pytest.mark.parametrize("address", ["ADA@example.org", "Ada@Example.Org", "ada@example.org"])
def test_the_database_refuses_an_address_twice_in_any_case(address: str) -> None:
    enrol("ada@example.org")

    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.bulk_create([User(email=address, name="Eve", password="!")])
    assert User.objects.count() == 1


def test_the_database_refuses_a_role_that_is_not_on_the_list() -> None:
    user = enrol("ada@example.org")

    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=user.pk).update(role="root")


# A process of its own: Django's test cases forbid any database but that of the run.
_SCRIPT = """
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
def newest():
    executor = MigrationExecutor(connection)
    return executor.migration_plan(executor.loader.graph.leaf_nodes()) == []
call_command("migrate", verbosity=0)
assert newest()
for label in ("tokens", "mail", "idempotency", "audit"):
    call_command("migrate", label, "zero", verbosity=0)
assert not newest()
call_command("migrate", verbosity=0)
assert newest()
"""


def test_all_migrations_run_forwards_backwards_and_forwards_again_on_an_empty_file(tmp_path: Path) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings_test", "TEST_PROFILE": "embedded"}
    run = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        env={**environment, "TMPDIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stderr

"""The command that makes administrators."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.management.commands import create_admin
from accounts.models import User
from accounts.services import staff
from audit.models import Event
from audit.origin import Origin
from authsvc import hashing

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "Tall-harbour-41-lanterns"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def command(*options: str, typed: str = f"{PASSWORD}\n", email: str = "ada@example.com") -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        out = io.StringIO()
        call_command("create_admin", "--email", email, "--name", "Ada Admin", "--password-stdin", *options, stdout=out)
        return out.getvalue()

    return command


def test_the_administrator_is_verified_at_once_and_can_sign_in(run: Any) -> None:
    said = run(email="Ada@Example.com")

    admin = User.objects.get()
    assert (admin.email, admin.name, admin.role, admin.locale) == ("ada@example.com", "Ada Admin", "admin", "en")
    assert (admin.is_active, admin.is_verified) == (True, True)
    assert hashing.verify(PASSWORD, admin.password)
    assert said == "ada@example.com is an administrator now.\n"


def test_the_log_tells_which_command_did_it(run: Any) -> None:
    run()

    event = Event.objects.get()
    assert (event.action, event.subject, event.actor) == ("account.admin.created", User.objects.get().audit_key, None)
    assert (event.user_agent, event.outcome) == ("create_admin", "success")


def test_json_goes_to_standard_output_without_the_password(run: Any) -> None:
    said = run("--json")

    assert json.loads(said) == {
        "id": str(User.objects.get().pk),
        "email": "ada@example.com",
        "name": "Ada Admin",
        "role": "admin",
        "created": True,
        "dryRun": False,
    }


def test_repeating_it_changes_nothing_the_password_neither(run: Any) -> None:
    run()
    before = User.objects.values().get()

    again = run(typed="Another-good-password-77\n")
    as_json = json.loads(run("--json", typed="short\n"))

    assert again == "ada@example.com is an administrator already. Nothing was changed.\n"
    assert (as_json["created"], as_json["id"]) == (False, str(before["id"]))
    assert User.objects.values().get() == before
    assert Event.objects.count() == 1


def test_somebody_elses_account_is_not_turned_into_an_administrators(run: Any) -> None:
    User.objects.create_user(email="ada@example.com", name="Ada", password_hash="!")
    before = User.objects.values().get()

    with pytest.raises(CommandError, match="is not an administrator's") as refusal:
        run()

    assert refusal.value.returncode == 1
    assert User.objects.values().get() == before
    assert Event.objects.count() == 0


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("", "There is no password on standard input."),
        ("\n", "There is no password on standard input."),
        ("short\n", "too short"),
        ("1q2w3e4r5t6y\n", "easy to guess"),
        ("ada@example.com\n", "similar"),
        (f"{'x7-' * 50}\n", "too long"),
        ("Tall-harbour\0-41-lanterns\n", "NUL"),
        ("Tall-harbour\udcff-41-lanterns\n", "not UTF-8"),
    ],
)
def test_an_unfit_password_is_refused_in_one_line(run: Any, typed: str, complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint) as refusal:
        run(typed=typed)

    assert "\n" not in str(refusal.value)
    assert User.objects.count() == 0


@pytest.mark.parametrize("email", ["ada", "ada@localhost", "", "ada@exa mple.com", "ada\udcff@example.com"])
def test_an_unusable_address_is_refused(run: Any, email: str) -> None:
    with pytest.raises(CommandError, match="not a valid email address"):
        run(email=email)

    assert User.objects.count() == 0


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "Ada\r\nBcc: x", "Ada\x00", "Ada\u202e", "Ada\udcff"])
def test_an_unusable_name_is_refused(name: str) -> None:
    with pytest.raises(staff.UnusableName):
        staff.create_admin(email="ada@example.com", name=name, password=PASSWORD, origin=Origin.system("test"))

    assert User.objects.count() == 0


def test_a_dry_run_checks_and_writes_nothing(run: Any) -> None:
    said = json.loads(run("--dry-run", "--json"))
    with pytest.raises(CommandError, match="too short"):
        run("--dry-run", typed="short\n")

    assert (said["created"], said["dryRun"], said["id"]) == (True, True, None)
    assert run("--dry-run") == "ada@example.com would become an administrator.\n"
    assert (User.objects.count(), Event.objects.count()) == (0, 0)


def test_only_the_line_end_is_taken_off_the_password(run: Any) -> None:
    run(typed=f"  {PASSWORD}  \r\nsecond line\n")

    assert hashing.verify(f"  {PASSWORD}  ", User.objects.get().password)


def test_somebody_at_a_terminal_types_it_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([PASSWORD, PASSWORD, PASSWORD, "something else"])
    monkeypatch.setattr(create_admin, "getpass", lambda _prompt: next(typed))

    call_command("create_admin", "--email", "ada@example.com", "--name", "Ada", stdout=io.StringIO())
    with pytest.raises(CommandError, match="The two passwords differ"):
        call_command("create_admin", "--email", "bob@example.com", "--name", "Bob", stdout=io.StringIO())

    assert [user.email for user in User.objects.all()] == ["ada@example.com"]


def test_an_address_taken_at_the_same_moment_is_answered_like_one_taken_before(monkeypatch: pytest.MonkeyPatch) -> None:
    real = hashing.make

    def overtaken(password: str) -> str:
        monkeypatch.setattr(hashing, "make", real)
        staff.create_admin(email="ada@example.com", name="First", password=PASSWORD, origin=Origin.system("other"))
        return real(password)

    monkeypatch.setattr(hashing, "make", overtaken)
    user, created = staff.create_admin(
        email="ada@example.com", name="Second", password=PASSWORD, origin=Origin.system("this")
    )

    assert (user.name, created) == ("First", False)
    assert User.objects.count() == 1


def test_a_failure_is_one_line_on_standard_error_and_exit_1() -> None:
    command = [sys.executable, "manage.py", "create_admin", "--email", "ada", "--name", "Ada", "--password-stdin"]
    done = subprocess.run(
        command, cwd=ROOT, input=f"{PASSWORD}\n", env=os.environ, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "CommandError: This is not a valid email address.\n"

"""The catalogues: complete, compiled, and watched over by `manage.py messages --check`."""

import shutil
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from authsvc.management.commands import messages


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work on a copy of the catalogues."""
    shutil.copytree(messages.LOCALES, tmp_path / "locale")
    monkeypatch.setattr(messages, "LOCALES", tmp_path / "locale")
    return tmp_path / "locale"


def test_every_message_is_translated_and_compiled() -> None:
    call_command("messages", check=True)


def test_the_check_names_what_is_missing(copy: Path) -> None:
    catalogue = copy / "de" / "LC_MESSAGES" / "django.po"
    text = catalogue.read_text(encoding="utf-8")
    start = text.index('msgid "You already have an account"')
    catalogue.write_text(text[:start] + 'msgid "Never said"\n' + text[text.index("msgstr", start) :], encoding="utf-8")

    with pytest.raises(CommandError) as refusal:
        call_command("messages", check=True)

    assert str(refusal.value).splitlines() == [
        "de: not translated: 'You already have an account'",
        "de: no longer used: 'Never said'",
        "de: the compiled catalogue is stale",
    ]


def test_the_check_finds_a_placeholder_that_a_translation_lost(copy: Path) -> None:
    catalogue = copy / "fr" / "LC_MESSAGES" / "django.po"
    text = catalogue.read_text(encoding="utf-8")
    catalogue.write_text(text.replace("Bonjour %(name)s", "Bonjour %(nom)s"), encoding="utf-8")

    with pytest.raises(CommandError, match="Hello %"):
        call_command("messages", check=True)


def test_an_update_of_catalogues_that_are_up_to_date_changes_nothing(copy: Path) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("django.*")}

    call_command("messages")

    assert {path: path.read_bytes() for path in copy.rglob("django.*")} == before
    assert len(before) == 6

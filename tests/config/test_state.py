"""The secrets that embedded mode makes for itself."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from config import state
from config.env import SettingsProblem, load

STARTERS = 8


def test_they_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "var"

    made = state.secrets_of(folder)

    again = state.secrets_of(folder)
    assert (again.secret_key, again.encryption_keys) == (made.secret_key, made.encryption_keys)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["secrets.json"]
    assert len(made.secret_key) >= 50
    assert [len(key) for key in made.encryption_keys] == [32]


def test_of_many_starters_all_get_the_same(tmp_path: Path) -> None:
    together = Barrier(STARTERS)

    def start() -> tuple[str, tuple[bytes, ...]]:
        together.wait()
        own = state.secrets_of(tmp_path)
        return own.secret_key, own.encryption_keys

    with ThreadPoolExecutor(STARTERS) as pool:
        found = {starter.result() for starter in [pool.submit(start) for _ in range(STARTERS)]}

    assert len(found) == 1


def test_two_folders_share_nothing(tmp_path: Path) -> None:
    one, other = state.secrets_of(tmp_path / "one"), state.secrets_of(tmp_path / "other")

    assert one.secret_key != other.secret_key
    assert one.encryption_keys != other.encryption_keys


def test_a_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    made = state.secrets_of(tmp_path)
    (tmp_path / "secrets.json").chmod(0o644)

    assert state.secrets_of(tmp_path).secret_key == made.secret_key
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"SECRET_KEY": "x", "ENCRYPTION_KEYS": "short"})])
def test_a_damaged_file_stops_the_start_and_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(SettingsProblem) as refusal:
        state.secrets_of(tmp_path)

    assert [name for name, _reason in refusal.value.problems] == [str(path)]
    assert path.read_text(encoding="utf-8") == content


def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(SettingsProblem, match="cannot be made"):
        state.secrets_of(tmp_path / "file" / "var")


def test_what_the_environment_gives_comes_first(tmp_path: Path) -> None:
    kept = state.secrets_of(tmp_path)

    found = state.secrets_for(load({"SECRET_KEY": "given"}), tmp_path)

    assert (found.secret_key, found.encryption_keys) == ("given", kept.encryption_keys)

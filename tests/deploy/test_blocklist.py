"""The blocklist is what its script makes, catches what it says, and refuses nobody else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from accounts.validators import guesses
from accounts.validators.guesses import Prices
from deploy.blocklist import build
from tests.measuring import unmeasured

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_files_are_what_the_script_makes() -> None:
    """Byte for byte, and so are the figures of the document, measured anew with a tenth of the strong passwords."""
    command = [sys.executable, "-m", "deploy.blocklist", "--check", "--generated", str(build.GENERATED // 10)]

    run = subprocess.run(command, cwd=ROOT, env=unmeasured(), capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_no_strong_password_is_refused() -> None:
    """10,000 of each kind, as the document has it, to which the script has just been held with 1,000 of each."""
    figures = re.findall(r"^\| ([^|]+) \| (\d+) \|$", build.DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)

    assert [kind for kind, _refused in figures] == list(build.KINDS)
    assert {refused for _kind, refused in figures} == {"0"}


def test_every_long_password_of_djangos_list_is_refused() -> None:
    listed = [password for password in build.django_list() if len(password) >= 12]

    assert len(listed) > 150
    assert [password for password in listed if not guesses.is_easy(password)] == []


def test_nearly_all_known_disguises_are_refused() -> None:
    caught = {kind: build.refused(made) / len(made) for kind, made in build.weak().items()}

    assert min(caught.values()) > 0.85
    assert sum(share == 1 for share in caught.values()) >= 8


@pytest.mark.parametrize(
    ("text", "price"),
    [("pass", 10), ("passwords", 10 + 5), ("apass", 5 + 10), ("pas", 3 * 5), ("passt", 10 + 5), ("", 0)],
)
def test_words_are_found_where_they_stand(text: str, price: int) -> None:
    prices = Prices([], ["pass", "password", "passwort", "past"])

    assert prices.of(text, {}) == price


def test_the_cheapest_reading_is_the_price() -> None:
    prices = Prices(["password"], ["butterfly"])

    assert prices.of("password", {}) == 4
    assert prices.of("password1!", {}) == 8
    assert prices.of("p4$$w0rd", {}) == 4
    assert prices.of("butterfly2026!", {}) == 16
    assert prices.of("butterflyalice", {"alice": 2}) == 12
    assert prices.of("butterflyalice", {}) > guesses.LIMIT
    assert prices.of("", {}) == 0

"""Make the blocklist from public facts, and measure it. The same input gives the same files, byte for byte."""

import gzip
import random
import string
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from django.contrib.auth import password_validation

from accounts.validators import guesses
from accounts.validators.guesses import Prices
from deploy.blocklist import words

Maker: TypeAlias = Callable[[random.Random, Sequence[str]], str]

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "accounts" / "data"
DOCUMENT = ROOT / "docs" / "passwords.md"
GENERATED = 10_000
SHORTEST = 12

_SEED = 20_260_101
_BEGIN, _END = "<!-- figures: python -m deploy.blocklist -->", "<!-- end of figures -->"
_WORD_MIN = 4
# What common words and patterns cost together without being words of their own.
_WORD_PRICE = 10
_NAMED = 3
_ALPHANUMERIC = string.ascii_letters + string.digits


def _characters(alphabet: str, length: int) -> Maker:
    return lambda chance, _words: "".join(chance.choices(alphabet, k=length))


def _suggested(chance: random.Random, _words: Sequence[str]) -> str:
    return "-".join("".join(chance.choices(_ALPHANUMERIC, k=6)) for _ in range(3))


def _phrase(words_of_it: int, separator: str) -> Maker:
    return lambda chance, listed: separator.join(chance.choices(listed, k=words_of_it))


def _capitals(chance: random.Random, listed: Sequence[str]) -> str:
    return "".join(word.title() for word in chance.choices(listed, k=4)) + chance.choice(string.digits) + "!"


KINDS: dict[str, Maker] = {
    "12 printable ASCII characters": _characters(_ALPHANUMERIC + string.punctuation + " ", 12),
    "12 letters and digits": _characters(_ALPHANUMERIC, 12),
    "15 small letters": _characters(string.ascii_lowercase, 15),
    "16 hexadecimal digits": _characters("0123456789abcdef", 16),
    "20 decimal digits": _characters(string.digits, 20),
    "6 + 6 + 6 letters and digits, as a browser suggests": _suggested,
    "5 words of the blocklist, with spaces": _phrase(5, " "),
    "4 words of the blocklist, with hyphens": _phrase(4, "-"),
    "4 words of the blocklist, in capitals, a digit, a sign": _capitals,
}


def files(generated: int = GENERATED) -> Iterator[tuple[Path, str]]:
    """Yield each file with what it has to hold. The figures are measured with the data files as they are.

    Fewer generated passwords of a kind give the same files, as none of them is refused.
    """
    yield DATA / "core_words.txt", _lines(core_words())
    yield DATA / "common_words.txt", _lines(common_words())
    yield DOCUMENT, document(generated)


def document(generated: int = GENERATED) -> str:
    """Return the page about passwords, with what is measured today."""
    head, _begin, rest = DOCUMENT.read_text(encoding="utf-8").partition(_BEGIN)
    tail = rest.partition(_END)[2]
    return f"{head}{_BEGIN}\n\n{figures(generated)}\n{_END}{tail}"


def core_words() -> list[str]:
    """Return the words that are tried first, folded."""
    listed = [*words.PASSWORDS, *words.CALENDAR, *words.PRODUCT, *words.OTHER_SCRIPTS]
    return _words(listed)


def common_words() -> list[str]:
    """Return Django's list and the phrases, without what patterns and the first words make cheap already."""
    cheap = Prices(core_words(), ())
    return [word for word in _words([*django_list(), *words.PHRASES]) if cheap.of(word, {}) > _WORD_PRICE]


def django_list() -> list[str]:
    """Return the common passwords that come with Django."""
    path = Path(password_validation.__file__).with_name("common-passwords.txt.gz")
    with gzip.open(path, "rt", encoding="utf-8") as listed:
        return listed.read().split()


def figures(generated: int = GENERATED) -> str:
    """Return the tables of what is refused: of strong ones, none; of weak ones, how many and which not."""
    lines = ["| strong passwords, 10,000 of each kind | refused |", "| --- | --- |"]
    lines += [f"| {kind} | {refused(made)} |" for kind, made in strong(generated).items()]
    lines += ["", "| weak passwords | of | refused | such as these are not |", "| --- | --- | --- | --- |"]
    for kind, made in weak().items():
        taken = [password for password in made if not guesses.is_easy(password)]
        named = ", ".join(f"`{password}`" for password in taken[:_NAMED]) or "none"
        lines.append(f"| {kind} | {len(made)} | {len(made) - len(taken)} | {named} |")
    return "\n".join([*lines, ""])


def refused(passwords: list[str]) -> int:
    """Return how many of these the blocklist refuses."""
    return sum(guesses.is_easy(password) for password in passwords)


def strong(generated: int = GENERATED) -> dict[str, list[str]]:
    """Return generated passwords by kind, always the same ones. The words are those of the blocklist itself."""
    chance = random.Random(_SEED)  # noqa: S311 - it has to repeat itself
    listed = [word for word in (*core_words(), *common_words()) if word.isascii() and word.isalpha()]
    return {kind: [make(chance, listed) for _ in range(generated)] for kind, make in KINDS.items()}


def weak() -> dict[str, list[str]]:
    """Return passwords of at least twelve characters that guessers try early, by kind."""
    kinds = {"in Django's list": django_list(), **words.weak()}
    return {kind: [word for word in made if len(word) >= SHORTEST] for kind, made in kinds.items()}


def _words(listed: list[str]) -> list[str]:
    """Return words folded, sorted, each once. Of other scripts only those that were written down on purpose."""
    known = {guesses.folded(word) for word in listed if word.isascii() or word in words.OTHER_SCRIPTS}
    return sorted(word for word in known if len(word) >= _WORD_MIN)


def _lines(listed: list[str]) -> str:
    return "\n".join([*listed, ""])

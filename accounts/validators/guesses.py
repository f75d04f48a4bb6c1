"""How hard a password is to guess, for a guesser who knows what people do.

Whatever a password is made of has a price: a word of the blocklist, a walk over the keyboard, a
year, a repetition, and each character that belongs to none of these. The price of the password is
the cheapest way to put it together; up to `LIMIT` it is refused. A price is about a bit: the
blocklist has 2^14 words (here 10, since guessers begin with the frequent ones), a year is one of
2^7 but seldom another than four. Whatever people can't be expected to have chosen is dear: twelve
characters at random cost 24 at least, and about 50.

Numbers and the list of what is caught: `docs/passwords.md`, written by `deploy/blocklist`.
"""

import re
import string
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

LIMIT = 19

_DATA = Path(__file__).resolve().parent.parent / "data"
_HEAD = 3  # letters by which words are found; none is shorter than four

_OWN = 2  # a word that the owner is known by
_CORE = 4  # password, welcome, summer: what everybody tries first
_COMMON = 10  # a word that many people have as their password
_SHORT_RUN, _RUN = 3, 4  # abc; qwerty
_REPEAT = 3  # whatever stood before, once more or many times
_YEAR, _DATE = 4, 8
_ORNAMENT = 2  # a digit, a space, a sign of the keyboard
_LETTER = 5  # anything else
_DETOUR = 2  # backwards, each character as often, or each kind of separator between the letters

_RUN_MIN = 3
_SEPARATORS_MAX = 3
_ORNAMENTS = frozenset(string.digits + string.punctuation + " ")
_CALENDAR = (
    (re.compile(r"(?:19|20)\d\d"), _YEAR),
    (re.compile(r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])(?:19|20)?\d\d"), _DATE),
    (re.compile(r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:19|20)?\d\d"), _DATE),
    (re.compile(r"(?:19|20)?\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"), _DATE),
)
# The alphabet, the digits, and the keyboards of the languages we speak: rows, columns, zigzags.
_LINES = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "13579",
    "24680",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "zaq12wsxcde34rfvbgt56yhnmju78ik,.lo90p;/",
    "qweasdzxc",
    "123qweasdzxc",
    "1a2b3c4d5e6f7g8h",
    "a1b2c3d4e5f6g7h8",
    "\u0439\u0446\u0443\u043a\u0435\u043d\u0433\u0448\u0449\u0437\u0445\u044a",
    "\u0444\u044b\u0432\u0430\u043f\u0440\u043e\u043b\u0434\u0436\u044d",
    "\u044f\u0447\u0441\u043c\u0438\u0442\u044c\u0431\u044e",
)
_SHIFTED = str.maketrans('!@#$%^&*()_+{}:"<>?|', "1234567890-=[];',./\\")
_LEET = {"0": "o", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g", "@": "a", "$": "s", "+": "t"}
_READINGS = tuple(
    str.maketrans(_LEET | {"1": one, "!": sign, "|": "l", "(": "c"}) for one, sign in (("i", "i"), ("l", "i"))
)


def folded(text: str) -> str:
    """Return a text without what does not make it harder to guess: capitals, accents, compatibility forms."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def squeezed(text: str) -> str:
    """Return a folded text without everything that only separates."""
    return "".join(filter(str.isalnum, text))


def readings(text: str) -> set[str]:
    """Return a folded text as it may be read: as it stands, and with digits and signs as the letters they look like."""
    return {text, *(text.translate(leet) for leet in _READINGS)}


def is_easy(password: str, *, own: Collection[str] = (), product: Collection[str] = ()) -> bool:
    """Tell whether a password costs `LIMIT` at most.

    `own` are words of its owner, `product` those of the service, both folded and of 4 letters at least.
    """
    words = {**dict.fromkeys(product, _CORE), **dict.fromkeys(own, _OWN)}
    return any(form and _prices().of(form, words) + detour <= LIMIT for form, detour in _forms(folded(password)))


def _forms(text: str) -> Iterator[tuple[str, int]]:
    """Yield what a folded text may have been before it was disguised, and the price of the disguise."""
    yield text, 0
    yield text[::-1], _DETOUR
    letters = squeezed(text)
    separators = len(set(text) - set(letters))
    if 0 < separators <= _SEPARATORS_MAX:
        yield letters, _DETOUR * separators
    runs = [(character, len(list(run))) for character, run in groupby(text)]
    lengths = {length for _character, length in runs}
    if len(lengths) == 1 and 1 not in lengths:
        yield "".join(character for character, _length in runs), _DETOUR


class Prices:
    """What everything costs that a password can be made of."""

    def __init__(self, core: Iterable[str], common: Iterable[str]) -> None:
        """Take the words of the blocklist, folded: the first that are tried, and the many others.

        They are sorted, of four letters at least and without spaces.
        """
        # What begins alike is one text: that takes little more memory than its letters.
        self._listed: dict[str, list[tuple[str, int]]] = {}
        for words, cost in ((core, _CORE), (common, _COMMON)):
            for head, same in groupby(words, key=itemgetter(slice(_HEAD))):
                self._listed.setdefault(head, []).append((" ".join(same), cost))

    def of(self, text: str, more: Mapping[str, int]) -> int:
        """Return the price of a folded text, or any number above `LIMIT` where it is dearer. `more` are words too."""
        cheapest = [0] + [LIMIT + 1] * len(text)
        variants = readings(text)
        lines = {text, text.translate(_SHIFTED)}
        for place in range(len(text)):
            if cheapest[place] > LIMIT:
                continue
            words = self._words(variants, place, more)
            for length, cost in chain(words, _runs(lines, place), _patterns(text, place)):
                end = place + length
                cheapest[end] = min(cheapest[end], cheapest[place] + cost)
        return cheapest[-1]

    def _words(self, variants: Iterable[str], place: int, more: Mapping[str, int]) -> Iterator[tuple[int, int]]:
        """Yield the length and the price of each word at a place."""
        for variant in variants:
            for same, cost in self._listed.get(variant[place : place + _HEAD], ()):
                for word in same.split(" "):
                    if variant.startswith(word, place):
                        yield len(word), cost
            for word, cost in more.items():
                if variant.startswith(word, place):
                    yield len(word), cost


@cache
def _prices() -> Prices:
    with (_DATA / "core_words.txt").open(encoding="utf-8") as core, (_DATA / "common_words.txt").open() as common:
        return Prices(map(str.strip, core), map(str.strip, common))


def _runs(lines: Iterable[str], place: int) -> Iterator[tuple[int, int]]:
    """Yield the length and the price of each walk over the keyboard or through the alphabet at a place."""
    for text in lines:
        run = _run(text, place)
        if run >= _RUN_MIN:
            yield run, _SHORT_RUN if run == _RUN_MIN else _RUN


def _patterns(text: str, place: int) -> Iterator[tuple[int, int]]:
    """Yield the length and the price of whatever else may stand at a place, if only one character."""
    yield 1, _ORNAMENT if text[place] in _ORNAMENTS else _LETTER
    if text[place].isdecimal():
        for pattern, cost in _CALENDAR:
            found = pattern.match(text, place)
            if found:
                yield len(found[0]), cost
    yield from ((length, _REPEAT) for length in _repeats(text, place))


def _run(text: str, place: int) -> int:
    """Return how many characters from here on follow one line of the keyboard or the alphabet."""
    lines = _all_lines()
    length = 0
    while place + length < len(text) and text[place : place + length + 1] in lines:
        length += 1
    return length


@cache
def _all_lines() -> str:
    return "\n".join([*_LINES, *(line[::-1] for line in _LINES)])


def _repeats(text: str, place: int) -> Iterator[int]:
    """Yield how many characters from here on repeat what stands before: once in full, at least two characters."""
    for period in range(1, place + 1):
        if text[place : place + period] != text[place - period : place]:
            continue
        end = place + period
        while end < len(text) and text[end] == text[end - period]:
            end += 1
        if end - place > 1:
            yield end - place

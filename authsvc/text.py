"""The one form in which people's own words are kept: names of people and of devices."""

import unicodedata

_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTION_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class InvalidCharacter(ValueError):
    """A character that no name needs, and that could forge lines or hide what follows it."""


def clean(text: str) -> str:
    """Return the text trimmed and in NFC.

    Raises `InvalidCharacter` for control characters, line separators, lone surrogates and
    overrides of the writing direction.
    """
    if any(unicodedata.category(character) in _CONTROLS or character in _DIRECTION_OVERRIDES for character in text):
        raise InvalidCharacter
    return unicodedata.normalize("NFC", text.strip())

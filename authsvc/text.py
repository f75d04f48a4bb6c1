"""The one form in which people's own words are kept: names of people and of devices."""

import unicodedata

_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_INVISIBLE = frozenset({"Cf", "Zs"})
_DIRECTION_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class InvalidCharacter(ValueError):
    """A character that no name needs, and that could forge lines or hide what follows it."""


def clean(text: str) -> str:
    """Return the text in NFC, without spaces and invisible characters at its ends.

    Raises `InvalidCharacter` for control characters, line separators, lone surrogates and
    overrides of the writing direction.
    """
    categories = [unicodedata.category(character) for character in text]
    if not _CONTROLS.isdisjoint(categories) or not _DIRECTION_OVERRIDES.isdisjoint(text):
        raise InvalidCharacter
    visible = [place for place, category in enumerate(categories) if category not in _INVISIBLE]
    return unicodedata.normalize("NFC", text[visible[0] : visible[-1] + 1]) if visible else ""

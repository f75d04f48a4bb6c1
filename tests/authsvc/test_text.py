"""What a name may be made of."""

import pytest

from authsvc.text import InvalidCharacter, clean


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Ada ", "Ada"),
        ("\u200bAda\u200d", "Ada"),
        ("\u00a0Ada\u3000", "Ada"),
        ("e\u0301", "\u00e9"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("\u200b", ""),
        (" \u200b\u2060 ", ""),
        ("", ""),
    ],
)
def test_invisible_ends_go_and_what_joins_letters_stays(given: str, kept: str) -> None:
    assert clean(given) == kept


@pytest.mark.parametrize("character", ["\0", "\n", "\x7f", "\u2028", "\u202e", "\u2066", "\ud800"])
def test_what_forges_lines_or_hides_text_is_refused(character: str) -> None:
    with pytest.raises(InvalidCharacter):
        clean(f"Ada{character}")

"""The one form of an address."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.addresses import InvalidAddress, canonical

LABEL = "b" * 63
UMLAUT = "\u00fc"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("ada@example.org", "ada@example.org"),
        ("  Ada.Lovelace+notes@EXAMPLE.Org\n", "ada.lovelace+notes@example.org"),
        ("o'hara!#$%&*/=?^_`{|}~-@example.org", "o'hara!#$%&*/=?^_`{|}~-@example.org"),
        ("ada@b\u00fccher.example", "ada@xn--bcher-kva.example"),
        ("ada@B\u00dcCHER.EXAMPLE", "ada@xn--bcher-kva.example"),
        ("ada@XN--bcher-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada@stra\u00dfe.example", "ada@xn--strae-oqa.example"),
        ("ada@\u0440\u0444.example", "ada@xn--p1ai.example"),
        ("ada@1.2.example", "ada@1.2.example"),
        (f"{'a' * 64}@example.org", f"{'a' * 64}@example.org"),
        (f"ada@{LABEL}.example", f"ada@{LABEL}.example"),
        (f"{'a' * 10}@{LABEL}.{LABEL}.{LABEL}.{'c' * 51}", f"{'a' * 10}@{LABEL}.{LABEL}.{LABEL}.{'c' * 51}"),
    ],
)
def test_an_address_has_one_form(typed: str, expected: str) -> None:
    assert canonical(typed) == expected
    assert canonical(expected) == expected


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "ada",
        "@",
        "ada@",
        "@example.org",
        "ada@localhost",
        "ada@example",
        "ada@127.0.0.1",
        "ada@[127.0.0.1]",
        "ada@[IPv6:2001:db8::1]",
        "ada@2001:db8::1",
        "ada@example.org:25",
        "ada@example.org.",
        "ada@example..org",
        "ada@.example.org",
        "ada@-example.org",
        "ada@example-.org",
        "ada@exa mple.org",
        "ada@exa_mple.org",
        "ada@example.123",
        "a da@example.org",
        ".ada@example.org",
        "ada.@example.org",
        "a..da@example.org",
        "a@b@example.org",
        '"ada"@example.org',
        '"a@b"@example.org',
        "ada(comment)@example.org",
        "Ada <ada@example.org>",
        "<ada@example.org>",
        "mailto:ada@example.org",
        "ada@example.org,eve@example.org",
        "ada@example.org, eve@example.org",
        "ada@example.org;eve@example.org",
        "ada\\@example.org",
        "ada%example.org",
        "ada\0@example.org",
        "ada@example.org\0",
        "ada\n@example.org",
        "ada@example.org\nBcc: eve@example.org",
        "ada\u200b@example.org",
        "ada\u202e@example.org",
        "ada@exam\u200dple.org",
        "\ud800@example.org",
        "ada@\ud800.org",
        "\u00e4da@example.org",
        "ad\u0131@example.org",
        "ada@\u2603.example",
        "ada@xn--\u00fc.example",
        f"{'a' * 65}@example.org",
        f"ada@{'b' * 64}.example",
        f"ada@{UMLAUT * 63}.example",
        f"{'a' * 11}@{LABEL}.{LABEL}.{LABEL}.{'c' * 51}",
        f"a@{UMLAUT}.{f'{UMLAUT}.' * 40}example.org",
        f"{'a' * 64}@{f'{UMLAUT}.' * 24}example.org",
    ],
    ids=ascii,
)
def test_what_is_no_plain_address_is_refused(typed: str) -> None:
    with pytest.raises(InvalidAddress):
        canonical(typed)


@pytest.mark.parametrize(
    "lookalike",
    [
        "ada\uff20example.org",  # full-width commercial at
        "ada\ufe6bexample.org",  # small commercial at
        "ada@example\uff0eorg",  # full-width full stop
        "\uff41da@example.org",  # full-width a
        "\u212aate@example.org",  # Kelvin sign, which lower() makes a k
        "ada@\u212aate.example",
        "ada@\ufb01sh.example",  # ligature fi
        "ada@exa\u2100mple.org",  # account of, which NFKC makes a/c
        "ada@ex\u00aample.org",  # feminine ordinal
        "ada@bu\u0308cher.example",  # not composed
        "ada\u2024b@example.org",  # one dot leader
    ],
    ids=ascii,
)
def test_no_lookalike_becomes_somebody_s_address(lookalike: str) -> None:
    assert canonical_or_none(unicodedata.normalize("NFKC", lookalike).replace("a/c", "ac")) is not None
    with pytest.raises(InvalidAddress):
        canonical(lookalike)


def canonical_or_none(typed: str) -> str | None:
    try:
        return canonical(typed)
    except InvalidAddress:
        return None


@given(st.one_of(st.text(max_size=40), st.from_regex(r"[^@]{0,20}@[^@]{0,20}\.\w{2,8}", fullmatch=True)))
def test_any_text_has_one_plain_form_or_none(text: str) -> None:
    address = canonical_or_none(text)

    if address is not None:
        assert canonical(address) == address
        assert address.isascii()
        assert address == address.strip().lower()
        assert address.count("@") == 1
        assert len(address) <= 254


@pytest.mark.parametrize(
    "monster",
    ["a" * 1_000_000, "a." * 500_000 + "@example.org", "\u1e9b\u0323" * 500_000],
    ids=["one label", "many labels", "decomposed"],
)
def test_a_monster_is_refused_before_anything_parses_it(monster: str) -> None:
    began = time.process_time()

    with pytest.raises(InvalidAddress):
        canonical(f"ada@{monster}")

    assert time.process_time() - began < 0.05

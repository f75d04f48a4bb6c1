"""Which rules a password policy has: the one list that the checks, and what front ends are told, are made from."""

from collections.abc import Collection
from typing import Any, Literal
from urllib.parse import urlsplit

Policy = Literal["strict", "hybrid", "nist"]

_MIN_LENGTH = 12
_NIST_MIN_LENGTH = 15  # NIST SP 800-63B-4, 3.1.1.2: where the password is the only factor
_CLASSES = ("Upper", "Lower", "Digit", "Special")


def validators(policy: Policy, *, product_words: Collection[str], breach_check: bool) -> list[dict[str, Any]]:
    """Return Django's `AUTH_PASSWORD_VALIDATORS`, in the order in which broken rules are named.

    `strict` asks everything of every password. `hybrid` asks for character classes up to 14
    characters. `nist` asks for 15 characters and neither for classes nor against repetition, as
    NIST SP 800-63B-4 has it. Common and similar ones are refused by all three.
    """
    nist = policy == "nist"
    rules = [
        _rule(
            "django.contrib.auth.password_validation.MinimumLengthValidator",
            min_length=_NIST_MIN_LENGTH if nist else _MIN_LENGTH,
        ),
        _rule("accounts.validators.composition.MaximumLength"),
    ]
    if not nist:
        up_to = {"up_to": _NIST_MIN_LENGTH - 1} if policy == "hybrid" else {}
        rules += [_rule(f"accounts.validators.composition.{name}", **up_to) for name in _CLASSES]
        rules.append(_rule("accounts.validators.composition.Repetition"))
    rules.append(_rule("accounts.validators.blocklist.NotCommon", product_words=list(product_words)))
    rules.append(_rule("accounts.validators.blocklist.NotSimilar"))
    if breach_check:
        rules.append(_rule("accounts.validators.breaches.NotBreached"))
    return rules


def words_of(public_url: str) -> list[str]:
    """Return the words of the address that a service is reached at, without the top-level domain."""
    labels = (urlsplit(public_url).hostname or "").split(".")[:-1]
    return [word for label in labels for word in label.split("-") if not word.isdigit()]


def _rule(name: str, **options: Any) -> dict[str, Any]:
    return {"NAME": name, "OPTIONS": options}

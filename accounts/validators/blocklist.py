"""Passwords that guessers try: those of everybody, and those that the owner's name or address suggests."""

import re
from collections.abc import Collection, Iterator

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.validators import guesses

# What is left without the owner's own words must still be a password in itself: ASVS 6.2.1.
LEFT_MIN = 8
OWN_WORD_MIN = 4
_PARTS_MAX = 16
_SEPARATORS = re.compile(r"[\W_\d]+")


class NotCommon:
    """Refuses what is quickly guessed from common words, patterns, and the service's own name."""

    def __init__(self, product_words: Collection[str] = ()) -> None:
        """Take further words that the service is known by."""
        folded = {guesses.folded(word) for word in product_words}
        self._product = frozenset(word for word in folded if len(word) >= OWN_WORD_MIN)

    def validate(self, password: str, user: object = None) -> None:
        """Raise `ValidationError` with code `password_common`."""
        if guesses.is_easy(password, product=self._product):
            raise ValidationError(
                _(
                    "This password is easy to guess: it is made of common words, dates or patterns. "
                    "Use several unrelated words, or let a password manager choose."
                ),
                code="password_common",
            )

    def get_help_text(self) -> str:
        """Return the rule as text."""
        return _("Your password must not be a common one, nor one made of common words, dates or patterns.")


class NotSimilar:
    """Refuses what hardly consists of more than the owner's name or address.

    Names and addresses are public, so their parts are taken out; what is left must have eight
    characters, and must not be easy to guess. A long password may hold a name.
    """

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise `ValidationError` with code `password_similar`."""
        if user is None:
            return
        own = own_words(name=user.name, email=user.email)
        text = guesses.squeezed(guesses.folded(password))
        held = {word for word in own if any(word in reading for reading in guesses.readings(text))}
        if held and (_left(password, held) < LEFT_MIN or guesses.is_easy(password, own=held)):
            raise ValidationError(
                _("This password is too similar to your name or your email address."), code="password_similar"
            )

    def get_help_text(self) -> str:
        """Return the rule as text."""
        return _("Your password must not be similar to your name or your email address.")


def own_words(*, name: str, email: str) -> set[str]:
    """Return the folded words that a guesser knows of a person, of four letters at least, forwards and backwards."""
    forwards = {word for word in _forwards(name, email) if len(word) >= OWN_WORD_MIN}
    return forwards | {word[::-1] for word in forwards}


def _forwards(name: str, email: str) -> Iterator[str]:
    local, _at, domain = guesses.folded(email).partition("@")
    labels = domain.split(".")[:-1]
    yield guesses.squeezed(local + domain)
    for text in (guesses.folded(name), local, *labels):
        parts = [part for part in _SEPARATORS.split(text) if part][:_PARTS_MAX]
        yield from parts
        yield guesses.squeezed(text)
        yield "".join(parts)
        yield "".join(reversed(parts))


def _left(password: str, held: Collection[str]) -> int:
    """Return how many characters a password has beside these words, in the reading that has the fewest."""
    text = guesses.folded(password)
    letters = guesses.squeezed(text)
    left = min(len(_without(reading, held)) for reading in guesses.readings(letters))
    return len(text) - len(letters) + left


def _without(text: str, words: Collection[str]) -> str:
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, "")
    return text

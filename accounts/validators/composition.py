"""What a password is made of. What is counted are code points of the password in NFC, as it will be hashed."""

import re
import unicodedata
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

MAX_LENGTH = 128
MAX_REPETITION = 3


class MaximumLength:
    """Refuses passwords of more than so many characters; none is ever cut."""

    def __init__(self, max_length: int = MAX_LENGTH) -> None:
        """Take the limit, in code points."""
        self.max_length = max_length

    def validate(self, password: str, user: object = None) -> None:
        """Raise `ValidationError` with code `password_too_long`."""
        if len(unicodedata.normalize("NFC", password)) > self.max_length:
            raise ValidationError(
                _("This password is too long. It may have at most %(max)d characters.") % {"max": self.max_length},
                code="password_too_long",
            )

    def get_help_text(self) -> str:
        """Return the rule as text."""
        return ngettext(
            "Your password may have at most %(max)d character.",
            "Your password may have at most %(max)d characters.",
            self.max_length,
        ) % {"max": self.max_length}


class Repetition:
    """Refuses more than so many equal characters in a row."""

    def __init__(self, max_repetition: int = MAX_REPETITION) -> None:
        """Take how many are still fine."""
        self.max_repetition = max_repetition
        self._more = re.compile(rf"(.)\1{{{max_repetition}}}", re.DOTALL)

    def validate(self, password: str, user: object = None) -> None:
        """Raise `ValidationError` with code `password_repetition`."""
        if self._more.search(unicodedata.normalize("NFC", password)):
            raise ValidationError(
                _("This password has the same character more than %(max)d times in a row.")
                % {"max": self.max_repetition},
                code="password_repetition",
            )

    def get_help_text(self) -> str:
        """Return the rule as text."""
        return _("Your password may have the same character at most %(max)d times in a row.") % {
            "max": self.max_repetition
        }


class CharacterClass:
    """Asks for one character of a class, of passwords up to so many characters; longer ones do without."""

    name: ClassVar[str]
    message: ClassVar[Promise | str]

    def __init__(self, up_to: int | None = None) -> None:
        """Take the length, in code points, from which on nothing is asked; `None` means it is always asked."""
        self.up_to = up_to

    def validate(self, password: str, user: object = None) -> None:
        """Raise `ValidationError` with code `password_no_` and the name of the class."""
        normal = unicodedata.normalize("NFC", password)
        if self.up_to is not None and len(normal) > self.up_to:
            return
        if not any(map(self.holds, normal)):
            raise ValidationError(str(self.message), code=f"password_no_{self.name}")

    def get_help_text(self) -> str:
        """Return the rule as text."""
        return str(self.message)

    def holds(self, character: str) -> bool:
        """Tell whether a character belongs to the class."""
        raise NotImplementedError


class Upper(CharacterClass):
    r"""Asks for a capital letter of any script (`\p{Lu}`)."""

    name = "upper"
    message = gettext_lazy("The password needs a capital letter.")

    def holds(self, character: str) -> bool:
        """Tell by the Unicode category."""
        return unicodedata.category(character) == "Lu"


class Lower(CharacterClass):
    r"""Asks for a small letter of any script (`\p{Ll}`)."""

    name = "lower"
    message = gettext_lazy("The password needs a small letter.")

    def holds(self, character: str) -> bool:
        """Tell by the Unicode category."""
        return unicodedata.category(character) == "Ll"


class Digit(CharacterClass):
    r"""Asks for a decimal digit of any script (`\p{Nd}`)."""

    name = "digit"
    message = gettext_lazy("The password needs a digit.")

    def holds(self, character: str) -> bool:
        """Tell by the Unicode category."""
        return unicodedata.category(character) == "Nd"


class Special(CharacterClass):
    """Asks for one of 26 characters; any other character is welcome and does not count as one."""

    name = "special"
    characters = "!@#$%^&*()_+-=[]{}|;:,.<>?"
    message = gettext_lazy("The password needs a special character, such as ! # - or ?")

    def holds(self, character: str) -> bool:
        """Tell whether it is one of the list."""
        return character in self.characters

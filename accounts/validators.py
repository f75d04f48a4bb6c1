"""Password rules, one Django validator each."""

import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

MAX_LENGTH = 128


class MaximumLengthValidator:
    """Refuses passwords of more than so many code points, counted in NFC."""

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

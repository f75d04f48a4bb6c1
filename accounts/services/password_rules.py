"""What makes a password acceptable."""

import unicodedata

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from authsvc.errors import DomainError, ErrorCode, Problem

# The codes of Django's validators, in ours. One that is not listed here is a mistake of the settings.
_CODES = {
    "password_too_short": ErrorCode.PASSWORD_TOO_SHORT,
    "password_too_long": ErrorCode.PASSWORD_TOO_LONG,
    "password_too_common": ErrorCode.PASSWORD_COMMON,
    "password_too_similar": ErrorCode.PASSWORD_SIMILAR,
}


class WeakPassword(DomainError):
    """The password breaks at least one rule; every broken one is named."""

    code = ErrorCode.PASSWORD_COMMON
    codes = tuple(_CODES.values())
    field = "password"
    message = _("This password can not be used.")


def check_new_password(password: str, *, name: str, email: str, field: str = "password") -> None:
    """Hold a new password against every rule (`AUTH_PASSWORD_VALIDATORS`). Raises `WeakPassword`.

    `name` and `email` are the owner's: a password must not resemble them. What is judged is what
    will be hashed: the password in NFC.
    """
    if "\0" in password:
        raise WeakPassword([Problem(ErrorCode.INVALID_CHARACTER, WeakPassword.message, field)])
    try:
        validate_password(unicodedata.normalize("NFC", password), user=User(name=name, email=email))
    except ValidationError as broken:
        raise WeakPassword(
            [Problem(_CODES[rule.code or ""], " ".join(rule.messages), field) for rule in broken.error_list]
        ) from broken

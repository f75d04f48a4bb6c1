"""What makes a password acceptable: the rules of `AUTH_PASSWORD_VALIDATORS`, which `PASSWORD_POLICY` chooses."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.password_validation import (
    MinimumLengthValidator,
    get_default_password_validators,
    validate_password,
)
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.validators.blocklist import NotCommon, NotSimilar
from accounts.validators.breaches import NotBreached
from accounts.validators.composition import CharacterClass, MaximumLength, Repetition, Special
from authsvc import hashing
from authsvc.errors import DomainError, ErrorCode, Problem, Text

# The codes of the validators, in ours. One that is not listed here is a mistake of the settings.
_CODES = {
    "password_too_short": ErrorCode.PASSWORD_TOO_SHORT,
    "password_too_long": ErrorCode.PASSWORD_TOO_LONG,
    "password_no_upper": ErrorCode.PASSWORD_NO_UPPER,
    "password_no_lower": ErrorCode.PASSWORD_NO_LOWER,
    "password_no_digit": ErrorCode.PASSWORD_NO_DIGIT,
    "password_no_special": ErrorCode.PASSWORD_NO_SPECIAL,
    "password_repetition": ErrorCode.PASSWORD_REPETITION,
    "password_common": ErrorCode.PASSWORD_COMMON,
    "password_similar": ErrorCode.PASSWORD_SIMILAR,
    "password_breached": ErrorCode.PASSWORD_BREACHED,
}


class WeakPassword(DomainError):
    """The password breaks at least one rule; every broken one is named."""

    code = ErrorCode.PASSWORD_COMMON
    codes = (*_CODES.values(), ErrorCode.INVALID_CHARACTER)
    field = "password"
    message = _("This password can not be used.")


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that are in force. Lengths are in code points of the password in NFC."""

    policy: str
    min_length: int
    max_length: int
    required_classes: list[str]
    composition_up_to: int | None
    special_characters: str
    max_repetition: int | None
    blocklist: bool
    similarity: bool
    breach_check: bool


def check_new_password(password: str, *, name: str, email: str, field: str = "password") -> None:
    """Hold a new password against every rule. Raises `WeakPassword`.

    `name` and `email` are the owner's: a password must not resemble them. What is judged is what
    will be hashed: the password in NFC. Where the breach check is on, this may wait for the network
    for three seconds: no transaction may be open. Only a password that breaks no other rule is asked about.
    """
    if not hashing.is_text(password):
        raise _weak(field, ErrorCode.INVALID_CHARACTER, WeakPassword.message)
    if len(password.encode()) > hashing.PASSWORD_MAX_BYTES:
        raise _weak(field, ErrorCode.PASSWORD_TOO_LONG, WeakPassword.message)
    normal, owner = unicodedata.normalize("NFC", password), User(name=name, email=email)
    rules = get_default_password_validators()
    remote = [rule for rule in rules if isinstance(rule, NotBreached)]
    try:
        validate_password(normal, user=owner, password_validators=[rule for rule in rules if rule not in remote])
        if remote:  # an empty list would mean all of them to Django
            validate_password(normal, user=owner, password_validators=remote)
    except ValidationError as broken:
        raise WeakPassword(
            [Problem(_CODES[rule.code or ""], " ".join(rule.messages), field) for rule in broken.error_list]
        ) from broken


def rules_in_force() -> Rules:
    """Return the rules as they are checked, for whoever wants to tell people before they choose."""
    rules: Sequence[Any] = get_default_password_validators()
    classes = [rule for rule in rules if isinstance(rule, CharacterClass)]
    return Rules(
        policy=settings.PASSWORD_POLICY,
        min_length=_option(rules, MinimumLengthValidator, "min_length") or 0,
        max_length=_option(rules, MaximumLength, "max_length") or 0,
        required_classes=[rule.name for rule in classes],
        composition_up_to=next((rule.up_to for rule in classes), None),
        special_characters=Special.characters if classes else "",
        max_repetition=_option(rules, Repetition, "max_repetition"),
        blocklist=_has(rules, NotCommon),
        similarity=_has(rules, NotSimilar),
        breach_check=_has(rules, NotBreached),
    )


def _has(rules: Sequence[Any], kind: type) -> bool:
    return any(isinstance(rule, kind) for rule in rules)


def _option(rules: Sequence[Any], kind: type, name: str) -> int | None:
    return next((cast("int", getattr(rule, name)) for rule in rules if isinstance(rule, kind)), None)


def _weak(field: str, code: ErrorCode, message: Text) -> WeakPassword:
    return WeakPassword([Problem(code, message, field)])

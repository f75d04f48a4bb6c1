"""The objects and bodies of this app on the wire."""

from datetime import datetime
from typing import Annotated, Literal, TypedDict, cast
from uuid import UUID

from accounts.models import NAME_MAX_LENGTH, Locale, User
from authsvc.http.serializers import ChoiceField, EmailField, Input, OpaqueField, PasswordField, TextField

# Ours are shorter. One of another kind, such as an access token, is a wrong token and no malformed body.
TOKEN_MAX_LENGTH = 4096
DEVICE_NAME_MAX_LENGTH = 100


RoleName = Literal["user", "admin"]
LocaleName = Literal["en", "de", "es", "fr"]


class UserObject(TypedDict):
    """A person, as that person sees the account."""

    id: UUID
    name: str
    email: Annotated[str, "email"]
    role: RoleName
    isVerified: bool
    mfaEnabled: bool
    locale: LocaleName
    createdAt: datetime
    lastLoginAt: datetime | None


def user_object(user: User) -> UserObject:
    """Return an account as the API shows it."""
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "role": cast("RoleName", user.role),
        "isVerified": user.is_verified,
        "mfaEnabled": user.mfa_enabled,
        "locale": cast("LocaleName", user.locale),
        "createdAt": user.created_at,
        "lastLoginAt": user.last_login,
    }


class RegisterInput(Input):
    """A new account."""

    name = TextField(max_length=NAME_MAX_LENGTH)
    email = EmailField()
    password = PasswordField(allow_blank=True)


class VerifyEmailQuery(Input):
    """The token of a mailed link."""

    token = OpaqueField(max_length=TOKEN_MAX_LENGTH)


class VerifyEmailInput(VerifyEmailQuery):
    """The token, and the password where the address was registered more than once."""

    password = PasswordField(required=False, allow_blank=True)


class EmailInput(Input):
    """An address."""

    email = EmailField()


class LoginInput(Input):
    """A sign-in by password."""

    email = EmailField()
    password = PasswordField()
    deviceName = TextField(source="device_name", max_length=DEVICE_NAME_MAX_LENGTH, required=False)


class ReauthenticateInput(Input):
    """The password of whoever is signed in."""

    password = PasswordField()


class StepUpObject(TypedDict):
    """Until when the proof counts that was given."""

    reauthenticatedUntil: datetime


class ProfileInput(Input):
    """What people change about themselves."""

    name = TextField(max_length=NAME_MAX_LENGTH, required=False)
    locale = ChoiceField(choices=Locale.choices, required=False)

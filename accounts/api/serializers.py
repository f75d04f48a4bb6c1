"""The objects and bodies of this app on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypedDict, cast
from uuid import UUID

from django.core.validators import RegexValidator
from rest_framework.exceptions import ErrorDetail, ValidationError

from accounts.models import NAME_MAX_LENGTH, Locale, User
from authsvc.errors import ErrorCode
from authsvc.http.serializers import ChoiceField, EmailField, Input, OpaqueField, PasswordField, TextField

# Ours are shorter. One of another kind, such as an access token, is a wrong token and no malformed body.
TOKEN_MAX_LENGTH = 4096
DEVICE_NAME_MAX_LENGTH = 100
# As the mail shows it, or without the space.
MAILED_CODE = r"^[0-9]{4} ?[0-9]{4}$"


RoleName = Literal["user", "admin"]
LocaleName = Literal["en", "de", "es", "fr"]
PolicyName = Literal["strict", "hybrid", "nist"]
CharacterClassName = Literal["upper", "lower", "digit", "special"]


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


class RestoreInput(Input):
    """The token of a mail about a deletion."""

    token = OpaqueField(max_length=TOKEN_MAX_LENGTH)


class NotMeInput(Input):
    """The token of a mail about a new device."""

    token = OpaqueField(max_length=TOKEN_MAX_LENGTH)


class EmailInput(Input):
    """An address."""

    email = EmailField()


class EmailChangeInput(Input):
    """The address to change to."""

    newEmail = EmailField(source="new_email")


class EmailLinkInput(Input):
    """The token of a mail about a change of address."""

    token = OpaqueField(max_length=TOKEN_MAX_LENGTH)


class ResetPasswordInput(Input):
    """The token of a mailed link, and the new password."""

    token = OpaqueField(max_length=TOKEN_MAX_LENGTH)
    newPassword = PasswordField(source="new_password", allow_blank=True)


class ChangePasswordInput(Input):
    """The password that counts now, and the new one."""

    currentPassword = PasswordField(source="current_password")
    newPassword = PasswordField(source="new_password", allow_blank=True)


class LoginInput(Input):
    """A sign-in by password."""

    email = EmailField()
    password = PasswordField()
    deviceName = TextField(source="device_name", max_length=DEVICE_NAME_MAX_LENGTH, required=False)
    deviceToken = OpaqueField(source="device_token", max_length=TOKEN_MAX_LENGTH, required=False, allow_blank=True)


class MagicLinkVerifyInput(Input):
    """The token of the mailed link, or the address and the mailed code; in both cases on a device that may be known."""

    demands = True

    token = OpaqueField(max_length=TOKEN_MAX_LENGTH, required=False)
    email = EmailField(required=False)
    code = OpaqueField(max_length=9, required=False, validators=[RegexValidator(MAILED_CODE, code="invalid_format")])
    deviceName = TextField(source="device_name", max_length=DEVICE_NAME_MAX_LENGTH, required=False)
    deviceToken = OpaqueField(source="device_token", max_length=TOKEN_MAX_LENGTH, required=False, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Take one of the two proofs, whole; the space within a code is for the eye."""
        given = attrs.keys() & {"token", "email", "code"}
        wanted = {"email", "code"} if given and "token" not in given else {"token"}
        wrong = {name: ErrorCode.REQUIRED if name in wanted else ErrorCode.UNKNOWN_FIELD for name in given ^ wanted}
        if wrong:
            raise ValidationError({name: [ErrorDetail(code.value, code=code)] for name, code in wrong.items()})
        return attrs | ({"code": attrs["code"].replace(" ", "")} if "code" in attrs else {})


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


class PasswordPolicyObject(TypedDict):
    """The rules for new passwords."""

    policy: PolicyName
    minLength: int
    maxLength: int
    requiredClasses: list[CharacterClassName]
    compositionUpTo: int | None
    specialCharacters: str
    maxRepetition: int | None
    blocklist: bool
    similarity: bool
    breachCheck: bool

"""Which mail goes to whom about an account."""

from datetime import UTC, datetime

from django.conf import settings

from accounts.models import User
from audit.origin import Origin
from authsvc.mail.models import OutgoingMail
from authsvc.mail.queue import enqueue
from authsvc.tokens import devices

VERIFICATION_HOURS = 24
NOT_ME_HOURS = 72
MAGIC_LINK_MINUTES = 15
RESET_HOURS = 1
CONFIRMATION_HOURS = 24
UNDO_HOURS = 72


def verification(*, user: User, token: str, lane: str = "") -> OutgoingMail:
    """Mail the link that proves the address. The token rides in the fragment, which no server log sees."""
    return enqueue(
        template="accounts/email/verify_email",
        to=user.email,
        language=user.locale,
        context={
            "name": user.name,
            "link": f"{_site()}/verify-email#token={token}",
            "hours": str(VERIFICATION_HOURS),
        },
        lane=lane,
    )


def already_registered(*, user: User) -> OutgoingMail:
    """Tell the owner of an account that somebody tried to register their address again."""
    return enqueue(
        template="accounts/email/already_registered",
        to=user.email,
        language=user.locale,
        context={"name": user.name, "sign_in_url": _site()},
    )


def new_device(*, user: User, token: str, origin: Origin, device_name: str, at: datetime) -> OutgoingMail:
    """Tell the owner of a sign-in on a device that was not known, with the link that says "this was not me"."""
    device = devices.describe(user_agent=origin.user_agent, device_name="")
    return enqueue(
        template="accounts/email/new_device",
        to=user.email,
        language=user.locale,
        context={
            "name": user.name,
            "device_name": device_name,
            "browser_name": device.browser,
            "system_name": device.os,
            "time": f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            "ip": origin.ip or "",
            "link": f"{_site()}/not-me#token={token}",
            "hours": str(NOT_ME_HOURS),
        },
    )


def confirm_email(*, user: User, new_email: str, token: str) -> OutgoingMail:
    """Mail the link that makes an address the account's to that address."""
    return enqueue(
        template="accounts/email/confirm_email",
        to=new_email,
        language=user.locale,
        context={
            "name": user.name,
            "link": f"{_site()}/confirm-email#token={token}",
            "hours": str(CONFIRMATION_HOURS),
        },
    )


def email_change_notice(*, user: User, new_email: str, token: str) -> OutgoingMail:
    """Tell the address that an account has which one is to replace it, with the link that undoes the change."""
    return enqueue(
        template="accounts/email/email_change_notice",
        to=user.email,
        language=user.locale,
        context={
            "name": user.name,
            "new_email": new_email,
            "link": f"{_site()}/undo-email-change#token={token}",
            "hours": str(UNDO_HOURS),
        },
    )


def reset_password(*, user: User, token: str, lane: str = "", voided: bool = False) -> OutgoingMail:
    """Mail the link that sets a new password, which somebody asked for or, with `voided`, is needed from now on."""
    return enqueue(
        template="accounts/email/reset_password",
        to=user.email,
        language=user.locale,
        context={
            "name": user.name,
            "link": f"{_site()}/reset-password#token={token}",
            "voided": "yes" if voided else "",
        },
        lane=lane,
    )


def password_changed(*, user: User, at: datetime, origin: Origin) -> OutgoingMail:
    """Tell the owner that the password is another one, and from where it was changed.

    The mail has no link: whoever fakes it gains nothing by looking like it.
    """
    device = devices.describe(user_agent=origin.user_agent, device_name="")
    return enqueue(
        template="accounts/email/password_changed",
        to=user.email,
        language=user.locale,
        context={
            "name": user.name,
            "browser_name": device.browser,
            "system_name": device.os,
            "time": f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            "ip": origin.ip or "",
        },
    )


def magic_link(*, user: User, token: str, code: str | None, lane: str = "") -> OutgoingMail:
    """Mail what signs in: a link where there is a front end to keep the tokens, and the code if there is one."""
    return enqueue(
        template="accounts/email/magic_link",
        to=user.email,
        language=user.locale,
        context={
            "name": user.name,
            "link": f"{settings.FRONTEND_URL}/magic-link#token={token}" if settings.FRONTEND_URL else "",
            "code": f"{code[:4]} {code[4:]}" if code else "",
            "minutes": str(MAGIC_LINK_MINUTES),
        },
        lane=lane,
    )


def deletion_scheduled(*, user: User, token: str, due_at: datetime) -> OutgoingMail:
    """Tell somebody who wants the account gone when it will be, with the link that restores it until then."""
    return enqueue(
        template="accounts/email/deletion_scheduled",
        to=user.email,
        language=user.locale,
        context={
            "name": user.name,
            "date": f"{due_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            "link": f"{_site()}/restore#token={token}",
        },
    )


def account_restored(*, user: User) -> OutgoingMail:
    """Tell the owner that a deletion was taken back."""
    return enqueue(
        template="accounts/email/account_restored",
        to=user.email,
        language=user.locale,
        context={"name": user.name, "sign_in_url": _site()},
    )


def _site() -> str:
    """Return the base of every link we mail: a setting, never what a request claims."""
    return settings.FRONTEND_URL or settings.PUBLIC_URL

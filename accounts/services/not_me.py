"""The mail about a sign-in on a new device, and the link in it that takes everything back.

The link outlives every change of password and stamp: whoever got in could make one and so take
the link from the owner. What voids it is whatever does all that it would do (a reset, an undone
change of address, another such link), and an account that has another address by now: there the
undo of that change is the owner's way.
"""

from datetime import datetime, timedelta
from uuid import uuid4

from django.db import transaction

from accounts import emails, selectors
from accounts.models import User
from accounts.services import links, passwords
from accounts.services.links import InvalidLink
from audit import services as audit
from audit.events import EventType
from audit.origin import Origin
from authsvc import crypto
from authsvc.tokens.models import EndReason, OneTimeToken, Purpose
from authsvc.tokens.services import known_devices, one_time, sessions

NOT_ME_LIFE = timedelta(hours=emails.NOT_ME_HOURS)
_LANE = "notice"


def mail_new_device(*, user: User, device_name: str, at: datetime, origin: Origin) -> None:
    """Tell the owner of a sign-in on a new device, in its transaction. No limit withholds this mail."""
    token = crypto.new_token()
    outgoing = emails.new_device(user=user, token=token, device_name=device_name, at=at, origin=origin)
    one_time.register(
        token=token, purpose=Purpose.NOT_ME, user=user, mail=outgoing, lifetime=NOT_ME_LIFE, outlives_changes=True
    )


def peek(*, token: str) -> User:
    """Return whose account a link would secure, changing nothing. Raises `InvalidLink`."""
    return _find(token).user


def disown(*, token: str, origin: Origin) -> None:
    """Sign everybody out, forget all known devices, make the password useless, and mail a link to choose a new one.

    Works once. Raises `InvalidLink`.
    """
    link = _find(token)
    with transaction.atomic():
        user = selectors.lock_user(link.user_id)
        if user is None or user.email != link.address or not user.is_active:
            raise InvalidLink
        links.consume(link)
        user.stamp = uuid4()
        user.save(update_fields=["stamp", "updated_at"])
        passwords.void_password(user)
        known_devices.void(user)
        sessions.end_all(user=user, reason=EndReason.DISOWNED, origin=origin)
        _mail_reset(user)
        audit.record(EventType.ACCOUNT_SIGNIN_DISOWNED, origin=origin, subject=user.audit_key)


def _mail_reset(user: User) -> None:
    """Mail the link to a new password. No limit withholds it, and it counts towards none: it is the owner's way in."""
    token = crypto.new_token()
    outgoing = emails.reset_password(user=user, token=token, lane=_LANE, voided=True)
    one_time.register(
        token=token, purpose=Purpose.RESET_PASSWORD, user=user, mail=outgoing, lifetime=passwords.RESET_LIFE
    )


def _find(token: str) -> OneTimeToken:
    link = links.find_unused(token, purpose=Purpose.NOT_ME)
    if not link.user.is_active:
        raise InvalidLink
    return link

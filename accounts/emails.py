"""Which mail goes to whom about an account."""

from django.conf import settings

from accounts.models import User
from authsvc import crypto
from authsvc.ids import uuid7
from authsvc.mail.models import OutgoingMail
from authsvc.mail.queue import enqueue

VERIFICATION_HOURS = 24


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
        dedupe_key=f"verify_email:{crypto.sha256(token).hex()}",
        lane=lane,
    )


def already_registered(*, user: User) -> OutgoingMail:
    """Tell the owner of an account that somebody tried to register their address again."""
    return enqueue(
        template="accounts/email/already_registered",
        to=user.email,
        language=user.locale,
        context={"name": user.name, "sign_in_url": _site()},
        dedupe_key=f"already_registered:{uuid7()}",
    )


def _site() -> str:
    """Return the base of every link we mail: a setting, never what a request claims."""
    return settings.FRONTEND_URL or settings.PUBLIC_URL

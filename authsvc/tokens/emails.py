"""Which mail goes to whom about a session."""

from datetime import UTC, datetime

from authsvc.mail.models import OutgoingMail
from authsvc.mail.queue import enqueue
from authsvc.mail.render import Sample
from authsvc.tokens.models import Session

SAMPLES = (
    Sample(
        "tokens/email/session_reuse",
        {
            "name": "Ada Lovelace",
            "device_name": "",
            "browser_name": "Firefox",
            "system_name": "Linux",
            "time": "2026-11-24 09:30 UTC",
            "ip": "192.0.2.10",
        },
    ),
)


def session_reuse(*, session: Session, browser: str, system: str, at: datetime, ip: str | None) -> OutgoingMail:
    """Tell the owner that an old refresh token of a session was used again, so that the session was ended.

    `browser` and `system` are those of the session; `at` and `ip` are of whoever used the token. The
    mail has no link: whoever fakes it gains nothing by looking like it.
    """
    user = session.user
    return enqueue(
        template="tokens/email/session_reuse",
        to=user.email,
        language=user.locale,
        context={
            "name": user.name,
            "device_name": session.device_name,
            "browser_name": browser,
            "system_name": system,
            "time": f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            "ip": ip or "",
        },
        dedupe_key=f"session_reuse:{session.id}",
    )

"""An example of every mail, for the pages that show them."""

from authsvc.mail import trial
from authsvc.mail.render import Sample
from authsvc.tokens import emails as session_emails

_SITE = "https://auth.example.org"
_TOKEN = "q3xk0JQnJpmJ2d0Yl7yN0m1sZc8n5vXw4bT6uR9eKfA"  # noqa: S105 - nobody's
_NAME = "Ada Lovelace"
_FROM_WHERE = {"browser_name": "Firefox", "system_name": "Linux", "time": "2026-11-24 09:30 UTC", "ip": "192.0.2.10"}

MAIL_SAMPLES = (
    Sample(
        "accounts/email/verify_email",
        {"name": _NAME, "link": f"{_SITE}/verify-email#token={_TOKEN}", "hours": "24"},
    ),
    Sample("accounts/email/already_registered", {"name": _NAME, "sign_in_url": _SITE}),
    Sample(
        "accounts/email/reset_password",
        {"name": _NAME, "link": f"{_SITE}/reset-password#token={_TOKEN}"},
    ),
    Sample("accounts/email/password_changed", {"name": _NAME, **_FROM_WHERE}),
    Sample(
        "accounts/email/confirm_email",
        {"name": _NAME, "link": f"{_SITE}/confirm-email#token={_TOKEN}", "hours": "24"},
    ),
    Sample(
        "accounts/email/email_change_notice",
        {
            "name": _NAME,
            "new_email": "ada.new@example.org",
            "link": f"{_SITE}/undo-email-change#token={_TOKEN}",
            "hours": "72",
        },
    ),
    Sample(
        "accounts/email/magic_link",
        {"name": _NAME, "link": f"{_SITE}/magic-link#token={_TOKEN}", "code": "4821 0937", "minutes": "15"},
    ),
    Sample(
        "accounts/email/new_device",
        {
            "name": _NAME,
            "device_name": "Ada's laptop",
            **_FROM_WHERE,
            "link": f"{_SITE}/not-me#token={_TOKEN}",
            "hours": "72",
        },
    ),
    Sample(
        "accounts/email/deletion_scheduled",
        {"name": _NAME, "date": "2026-12-24 09:30 UTC", "link": f"{_SITE}/restore#token={_TOKEN}"},
    ),
    Sample("accounts/email/account_restored", {"name": _NAME, "sign_in_url": _SITE}),
    *session_emails.SAMPLES,
    *trial.SAMPLES,
)

"""Mails in the outbox, and a mail server to deliver them to."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from pytest_django.fixtures import Settings

from authsvc.mail.models import OutgoingMail
from authsvc.mail.queue import enqueue
from tests.scripted_smtp import Script, smtp_server

Queue = Callable[..., OutgoingMail]
LINK = "http://127.0.0.1:8000/verify-email#token=s3cr3t-t0k3n"


@pytest.fixture
def queued(db: None) -> Queue:
    """Put a verification mail into the outbox; the arguments change what it says."""
    number = count(1)

    def put(**changes: object) -> OutgoingMail:
        values: dict[str, object] = {
            "template": "accounts/email/verify_email",
            "to": "alice@example.com",
            "language": "en",
            "context": {"name": "Alice", "link": LINK, "hours": "24"},
            "dedupe_key": f"test:{next(number)}",
        }
        return enqueue(**(values | changes))  # type: ignore[arg-type]

    return put


@pytest.fixture
def smtp(settings: Settings) -> Iterator[Script]:
    """Deliver to a scripted server, as every profile but the embedded one does."""
    with smtp_server() as script:
        settings.EMBEDDED = False
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", script.port, 5
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        yield script


@pytest.fixture
def embedded(settings: Settings) -> None:
    """Keep mails for the mailbox instead of sending them."""
    settings.EMBEDDED = True

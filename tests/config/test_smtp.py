"""TLS to the mail server wherever it offers it."""

from smtplib import SMTPResponseException

import pytest
from django.core.mail import EmailMessage

from config.smtp import EmailBackend
from tests.scripted_smtp import smtp_server

MAIL = EmailMessage("Subject", "Body", "from@example.com", ["to@example.com"])


def test_a_server_without_tls_gets_the_mail() -> None:
    with smtp_server() as server:
        sent = EmailBackend(host="127.0.0.1", port=server.port, use_tls=False, timeout=5).send_messages([MAIL])

        assert sent == 1
        assert server.recipients == ["to@example.com"]


def test_an_offer_of_tls_that_is_not_kept_sends_nothing() -> None:
    with smtp_server() as server:
        server.answers = {"EHLO": "250-scripted\r\n250 STARTTLS", "STARTTLS": "454 not now"}

        with pytest.raises(SMTPResponseException) as refusal:
            EmailBackend(host="127.0.0.1", port=server.port, use_tls=False, timeout=5).send_messages([MAIL])

        assert refusal.value.smtp_code == 454
        assert server.contents == []

"""Which mail goes to whom."""

import pytest
from pytest_django.fixtures import Settings

from accounts import emails
from accounts.models import User

pytestmark = pytest.mark.django_db
TOKEN = "b3BhcXVlLW9wYXF1ZS1vcGFxdWUtb3BhcXVlLTEyMzQ"


@pytest.fixture
def alice() -> User:
    """Return somebody who reads German."""
    return User.objects.create_user(email="alice@example.com", name="Alice", password_hash="!", locale="de")


def test_the_verification_link_points_to_the_front_end_where_there_is_one(alice: User, settings: Settings) -> None:
    settings.PUBLIC_URL, settings.FRONTEND_URL = "https://id.example.com", "https://app.example.com"

    mail = emails.verification(user=alice, token=TOKEN)

    assert (mail.recipient, mail.language, mail.template) == ("alice@example.com", "de", "accounts/email/verify_email")
    assert mail.open_context() == {
        "name": "Alice",
        "link": f"https://app.example.com/verify-email#token={TOKEN}",
        "hours": "24",
    }


def test_the_verification_link_points_to_our_own_page_otherwise(alice: User, settings: Settings) -> None:
    settings.PUBLIC_URL, settings.FRONTEND_URL = "https://id.example.com", ""

    mail = emails.verification(user=alice, token=TOKEN)

    assert mail.open_context()["link"] == f"https://id.example.com/verify-email#token={TOKEN}"


def test_every_attempt_to_register_again_is_told(alice: User) -> None:
    first, second = (emails.already_registered(user=alice) for _ in range(2))

    assert first.pk != second.pk
    assert first.open_context()["name"] == "Alice"

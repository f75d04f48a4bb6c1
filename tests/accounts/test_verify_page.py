"""The page that the verification mail links to."""

import html
import logging
import re
from http import HTTPStatus
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.services import registration
from audit.events import EventType
from audit.models import Event
from audit.origin import Origin
from authsvc.mail.models import OutgoingMail
from tests.page_rules import faults

pytestmark = pytest.mark.django_db

PAGE = "/verify-email"
ORIGIN = Origin(ip="192.0.2.7", user_agent="tests", request_id="", actor_id=None)
PASSWORD = "Analytical-Engine-1843"
OTHER_PASSWORD = "Difference-Engine-1822"


def register(*, name: str = "Ada Lovelace", password: str = PASSWORD) -> None:
    registration.register(name=name, email="ada@example.org", password=password, locale="en", origin=ORIGIN)


def newest_link() -> str:
    return OutgoingMail.objects.order_by("-created_at", "-id")[0].open_context()["link"]


def token_in(link: str) -> str:
    return link.partition("#token=")[2]


@pytest.fixture
def link() -> str:
    """The link of a fresh registration."""
    register()
    return newest_link()


@pytest.fixture
def token(link: str) -> str:
    return token_in(link)


@pytest.fixture
def contested_token() -> str:
    """The token of an address that two people registered with different passwords."""
    register()
    register(password=OTHER_PASSWORD)
    return token_in(newest_link())


def ada() -> User | None:
    return User.objects.filter(email="ada@example.org").first()


def is_verified() -> bool:
    return User.objects.get(email="ada@example.org").is_verified


def text(answer: Any) -> str:
    return html.unescape(answer.content.decode())


def events(event: EventType) -> int:
    return Event.objects.filter(action=event).count()


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("query", ["", "?token={token}", "?token={token}&action=confirm", "?token={token}&action=drop"])
def test_opening_the_link_changes_nothing(client: Client, token: str, method: str, query: str) -> None:
    answer = getattr(client, method)(PAGE + query.format(token=token))

    assert answer.status_code == HTTPStatus.OK
    assert token not in answer.content.decode()
    assert not is_verified()


def test_no_other_method_is_taken(client: Client) -> None:
    for method in ("options", "put", "patch", "delete"):
        assert getattr(client, method)(PAGE).status_code == HTTPStatus.METHOD_NOT_ALLOWED


def test_the_path_has_one_spelling(client: Client) -> None:
    assert client.get("/verify-email/").status_code == HTTPStatus.NOT_FOUND


def test_the_first_post_shows_who_registered_and_changes_nothing(client: Client, token: str) -> None:
    answer = client.post(PAGE, {"token": token})

    page = text(answer)
    assert answer.status_code == HTTPStatus.OK
    assert "Ada Lovelace" in page
    assert "ada@example.org" in page
    assert "Confirm my address" in page
    assert "This was not me" in page
    assert 'type="password"' not in page
    assert not is_verified()


def test_confirming_verifies_once_and_answers_the_same_again(client: Client, token: str) -> None:
    first = client.post(PAGE, {"token": token, "action": "confirm"})
    again = client.post(PAGE, {"token": token, "action": "confirm"})

    assert first.status_code == again.status_code == HTTPStatus.OK
    assert "Address confirmed" in text(first)
    assert "Address confirmed" in text(again)
    assert is_verified()
    assert events(EventType.ACCOUNT_EMAIL_VERIFIED) == 1


def test_this_was_not_me_deletes_the_registration_and_its_link(client: Client, token: str) -> None:
    answer = client.post(PAGE, {"token": token, "action": "drop"})
    again = client.post(PAGE, {"token": token, "action": "confirm"})

    assert answer.status_code == HTTPStatus.OK
    assert "Registration deleted" in text(answer)
    assert ada() is None
    assert events(EventType.ACCOUNT_REGISTRATION_DROPPED) == 1
    assert again.status_code == HTTPStatus.BAD_REQUEST


def test_a_verified_account_can_not_be_dropped_by_its_old_link(client: Client, token: str) -> None:
    client.post(PAGE, {"token": token, "action": "confirm"})

    answer = client.post(PAGE, {"token": token, "action": "drop"})

    assert "Address confirmed" in text(answer)
    assert is_verified()


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(
    "wrong", ["", "no-such-token", "x" * 5000, "\x00", "http://127.0.0.1:8000/verify-email#token="]
)
def test_a_wrong_token_is_refused_with_a_form_to_try_again(client: Client, wrong: str) -> None:
    answer = client.post(PAGE, {"token": wrong, "action": "confirm"})

    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert "This link is not valid or no longer valid." in text(answer)
    assert "Link from the mail" in text(answer)
    assert not is_verified()


def test_a_pasted_link_is_taken_even_when_the_mail_program_broke_it(client: Client, link: str) -> None:
    answer = client.post(PAGE, {"token": f"  {link[:50]}\n {link[50:]} "})

    assert "Confirm my address" in text(answer)


def test_a_contested_registration_asks_its_owner_for_a_password(client: Client, contested_token: str) -> None:
    shown = client.post(PAGE, {"token": contested_token})
    without = client.post(PAGE, {"token": contested_token, "action": "confirm"})

    assert 'autocomplete="new-password"' in text(shown)
    assert without.status_code == HTTPStatus.BAD_REQUEST
    assert 'autocomplete="new-password"' in text(without)
    assert not is_verified()


def test_a_refused_password_says_why_and_leaves_the_link_usable(client: Client, contested_token: str) -> None:
    refused = client.post(PAGE, {"token": contested_token, "action": "confirm", "password": "short"})
    taken = client.post(PAGE, {"token": contested_token, "action": "confirm", "password": "Sketch-of-the-1842-Engine"})

    owner = User.objects.get(email="ada@example.org")
    assert refused.status_code == HTTPStatus.BAD_REQUEST
    assert 'class="problems"' in text(refused)
    assert "short" not in re.findall(r'value="([^"]*)"', text(refused))
    assert taken.status_code == HTTPStatus.OK
    assert owner.is_verified
    assert owner.check_password("Sketch-of-the-1842-Engine")


def test_a_registration_that_became_contested_meanwhile_asks_for_a_password(client: Client, token: str) -> None:
    client.post(PAGE, {"token": token})
    register(password=OTHER_PASSWORD)

    answer = client.post(PAGE, {"token": token, "action": "confirm"})

    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert 'autocomplete="new-password"' in text(answer)
    assert not is_verified()


def test_every_answer_stays_out_of_caches_and_referrers(client: Client, token: str) -> None:
    answers = [
        client.get(PAGE),
        client.post(PAGE, {"token": token}),
        client.post(PAGE, {"token": "wrong"}),
        client.post(PAGE, {"token": token, "action": "confirm"}),
        client.put(PAGE),
    ]

    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert {answer.headers["Referrer-Policy"] for answer in answers} == {"no-referrer"}
    assert not any("Location" in answer.headers for answer in answers)


def test_every_answer_runs_own_scripts_alone_in_no_frame(client: Client, token: str) -> None:
    answers = [
        client.get(PAGE),
        client.post(PAGE, {"token": token}),
        client.post(PAGE, {"token": "wrong"}),
        client.post(PAGE, {"token": token, "action": "confirm"}),
    ]

    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert faults(answer.content.decode()) == []
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


def test_no_log_line_holds_the_token(client: Client, token: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        client.get(PAGE)
        client.post(PAGE, {"token": token})
        client.post(PAGE, {"token": token, "action": "confirm"})

    assert token not in "".join(str(vars(record)) for record in caplog.records)


def test_a_body_over_the_limit_is_refused(client: Client) -> None:
    answer = client.post(PAGE, {"token": "x" * 70_000})

    assert answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_a_name_with_markup_stays_text(client: Client) -> None:
    register(name="<b>Ada</b> & <script>alert(1)</script>")

    answer = client.post(PAGE, {"token": token_in(newest_link())})

    assert b"<script>alert" not in answer.content
    assert b"&lt;b&gt;Ada&lt;/b&gt; &amp;" in answer.content


@pytest.mark.parametrize("language", ["en", "de", "es", "fr"])
def test_the_page_speaks_the_language_of_its_reader(client: Client, token: str, language: str) -> None:
    answer = client.post(PAGE, {"token": token}, headers={"Accept-Language": language})

    assert f'<html lang="{language}"' in text(answer)
    assert ("This was not me" in text(answer)) is (language == "en")


class TestForgery:
    """The page is a form in a browser, so it is protected like one."""

    @pytest.fixture
    def browser(self) -> Client:
        return Client(enforce_csrf_checks=True, headers={"Accept": "text/html"})

    def form_token(self, answer: Any) -> str:
        return str(re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', answer.content.decode())[0])

    @pytest.mark.parametrize("action", ["confirm", "drop"])
    def test_a_post_from_elsewhere_is_refused(self, browser: Client, token: str, action: str) -> None:
        browser.get(PAGE)

        answer = browser.post(PAGE, {"token": token, "action": action})

        assert answer.status_code == HTTPStatus.FORBIDDEN
        assert answer.headers["Content-Type"].startswith("text/html")
        assert faults(answer.content.decode()) == []
        assert not is_verified()

    def test_a_foreign_origin_is_refused_even_with_the_form_token(self, browser: Client, token: str) -> None:
        fields = {"token": token, "action": "confirm", "csrfmiddlewaretoken": self.form_token(browser.get(PAGE))}

        answers = [
            browser.post(PAGE, fields, headers={"Origin": origin}) for origin in ("https://evil.example", "null")
        ]

        assert [answer.status_code for answer in answers] == [HTTPStatus.FORBIDDEN] * 2
        assert not is_verified()

    def test_the_page_s_own_forms_pass_both_steps(self, browser: Client, token: str) -> None:
        opened = browser.get(PAGE)
        shown = browser.post(PAGE, {"token": token, "csrfmiddlewaretoken": self.form_token(opened)})
        fields = {"token": token, "action": "confirm", "csrfmiddlewaretoken": self.form_token(shown)}

        answer = browser.post(PAGE, fields, headers={"Origin": "http://testserver"})

        assert answer.status_code == HTTPStatus.OK
        assert is_verified()

    def test_browsers_are_told_to_name_the_origin_with_our_forms(self, browser: Client, token: str) -> None:
        """Under `no-referrer` alone a browser posts with `Origin: null`, which is refused as foreign."""
        opened = browser.get(PAGE)
        shown = browser.post(PAGE, {"token": token, "csrfmiddlewaretoken": self.form_token(opened)})

        for answer in (opened, shown):
            assert '<meta name="referrer" content="same-origin">' in answer.content.decode()

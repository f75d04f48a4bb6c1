"""The pages that mailed links lead to: what holds for every one of them, and what each does."""

import html
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import translation
from django.utils.translation import gettext
from pytest_django.fixtures import Settings

from accounts.models import User
from authsvc.tokens.models import OneTimeToken, Session
from tests.cast import OTHER_PASSWORD, V1, Api, post_round
from tests.ledger import mails, stored
from tests.page_rules import faults

pytestmark = pytest.mark.django_db

API = Api(REMOTE_ADDR="192.0.2.10", HTTP_USER_AGENT="tests")
NEW_EMAIL = "alice.new@example.org"
DEAD = "This link is not valid or no longer valid."


def sign_in(email: str = "alice@example.org") -> str:
    """Sign in by password; return the access token."""
    return str(API.login(email).data["accessToken"])


def ask_to_verify() -> None:
    API.register("ada@example.org")


def ask_to_reset() -> None:
    API.post(f"{V1}/auth/password/forgot", {"email": "alice@example.org"})


def ask_for_another_address() -> None:
    API.post(f"{V1}/users/me/email", {"newEmail": NEW_EMAIL}, token=sign_in())


def ask_to_be_erased() -> None:
    API.delete(f"{V1}/users/me", token=sign_in())


@dataclass(frozen=True)
class Link:
    """A page, and how somebody comes to be mailed a link to it."""

    path: str
    ask: Callable[[], object]
    shows: str
    button: str
    done: str

    def token(self) -> str:
        """Have the mail sent; return the token in it."""
        self.ask()
        return next(letter for letter in post_round() if f"{self.path}#token=" in letter.text).token

    @property
    def form(self) -> dict[str, str]:
        """What the page's form sends beside the token."""
        return {"action": "confirm", "password": OTHER_PASSWORD} if self is RESET else {"action": "confirm"}


VERIFY = Link("/verify-email", ask_to_verify, "ada@example.org", "Confirm my address", "Address confirmed")
RESET = Link("/reset-password", ask_to_reset, "alice@example.org", "Set the password", "Password changed")
CONFIRM = Link("/confirm-email", ask_for_another_address, NEW_EMAIL, "Use the new address", "Address changed")
UNDO = Link(
    "/undo-email-change", ask_for_another_address, "alice@example.org", "Take the change back", "Your address is back"
)
RESTORE = Link("/restore", ask_to_be_erased, "alice@example.org", "Restore my account", "Account restored")
NOT_ME = Link("/not-me", sign_in, "alice@example.org", "This was not me", "Your account is secured")
LINKS = [VERIFY, RESET, CONFIRM, UNDO, RESTORE, NOT_ME]
SINGLE_USE = [RESET, CONFIRM, UNDO, RESTORE, NOT_ME]


@pytest.fixture
def token(alice: User, link: Link) -> str:
    return link.token()


def text(answer: Any) -> str:
    return html.unescape(answer.content.decode())


def heading(answer: Any) -> str:
    return str(re.findall(r"<h1>(.*?)</h1>", text(answer))[0])


def hidden_tokens(page: str) -> list[str]:
    return re.findall(r'<input type="hidden" name="token" value="([^"]*)">', page)


def every_answer(client: Client, link: Link, token: str) -> list[Any]:
    return [
        client.get(link.path),
        client.post(link.path, {"token": token}),
        client.post(link.path, {"token": "wrong"}),
        client.post(link.path, {"token": token, **link.form}),
        client.post(link.path, {"token": token, **link.form}),
        client.put(link.path),
    ]


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.path)
class TestEveryPage:
    @pytest.mark.both_databases
    def test_opening_the_link_changes_nothing(
        self, subtests: pytest.Subtests, client: Client, link: Link, token: str
    ) -> None:
        for method in ["get", "head", "options"]:
            for query in ["", "?token={token}", "?token={token}&action=confirm&password=x"]:
                with subtests.test(method=method, query=query):
                    before = stored()

                    answer = getattr(client, method)(link.path + query.format(token=token))

                    opens = method != "options"
                    assert answer.status_code == (HTTPStatus.OK if opens else HTTPStatus.METHOD_NOT_ALLOWED)
                    assert token not in answer.content.decode()
                    assert stored() == before

    @pytest.mark.both_databases
    def test_the_first_post_shows_what_the_link_is_about_and_changes_nothing(
        self, subtests: pytest.Subtests, client: Client, link: Link, token: str
    ) -> None:
        for action in [{}, {"action": ""}, {"action": "CONFIRM"}, {"action": "drop-table"}]:
            with subtests.test(action=action):
                before = stored()

                answer = client.post(link.path, {"token": token, **action})

                assert answer.status_code == HTTPStatus.OK
                assert link.shows in text(answer)
                assert f">{link.button}</button>" in text(answer)
                assert stored() == before

    @pytest.mark.both_databases
    def test_the_button_acts(self, client: Client, link: Link, token: str) -> None:
        before = stored()

        answer = client.post(link.path, {"token": token, **link.form})

        assert answer.status_code == HTTPStatus.OK
        assert heading(answer) == link.done
        assert 'role="status"' in text(answer)
        assert stored() != before

    def test_only_the_form_of_the_page_holds_the_token(self, client: Client, link: Link, token: str) -> None:
        _opened, shown, wrong, done, _again, _put = every_answer(client, link, token)

        assert hidden_tokens(text(shown)) == [token]
        assert text(shown).count(token) == 1
        assert token not in text(done)
        assert "wrong" not in hidden_tokens(text(wrong))

    def test_a_pasted_link_is_taken(self, client: Client, link: Link, token: str) -> None:
        pasted = f"  http://127.0.0.1:8000{link.path}#tok\n en={token} "

        answer = client.post(link.path, {"token": pasted})

        assert hidden_tokens(text(answer)) == [token]

    @pytest.mark.both_databases
    @pytest.mark.usefixtures("token")
    def test_a_wrong_link_gets_a_page_that_says_what_to_do(
        self, subtests: pytest.Subtests, client: Client, link: Link
    ) -> None:
        for wrong in ["", "no-such-token", "x" * 5000, "\x00", "http://127.0.0.1:8000/x#token="]:
            with subtests.test(wrong=wrong):
                before = stored()

                answer = client.post(link.path, {"token": wrong, **link.form})

                assert answer.status_code == HTTPStatus.BAD_REQUEST
                assert DEAD in text(answer)
                assert 'role="alert"' in text(answer)
                assert "Link from the mail" in text(answer)
                assert (
                    len(re.findall(r"<p>[^<]{40,}</p>", text(answer).partition("</ul>")[2].partition("by-hand")[0]))
                    == 1
                )
                assert stored() == before

    @pytest.mark.both_databases
    def test_a_link_of_another_page_is_a_wrong_one(self, client: Client, link: Link, token: str) -> None:
        before = stored()

        answers = [client.post(other.path, {"token": token, **other.form}) for other in LINKS if other is not link]

        assert {answer.status_code for answer in answers} == {HTTPStatus.BAD_REQUEST}
        assert stored() == before

    @pytest.mark.both_databases
    def test_a_link_whose_time_is_over_does_nothing(self, client: Client, link: Link, token: str) -> None:
        for row in OneTimeToken.objects.select_related("mail"):
            assert row.mail.sent_at is not None
            row.mail.sent_at -= row.lifetime
            row.mail.save(update_fields=["sent_at"])
        before = stored()

        answer = client.post(link.path, {"token": token, **link.form})

        assert answer.status_code == HTTPStatus.BAD_REQUEST
        assert DEAD in text(answer)
        assert stored() == before

    def test_every_answer_stays_out_of_caches_referrers_and_frames(
        self, client: Client, link: Link, token: str
    ) -> None:
        for answer in every_answer(client, link, token):
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "Location" not in answer.headers
            policy = answer.headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy

    def test_every_page_runs_own_scripts_alone_and_knows_a_phone(self, client: Client, link: Link, token: str) -> None:
        for answer in every_answer(client, link, token)[:-1]:
            page = answer.content.decode()
            assert faults(page) == []
            assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
            # Under `no-referrer` alone a browser posts with `Origin: null`, which is refused as foreign.
            assert '<meta name="referrer" content="same-origin">' in page

    def test_no_log_line_holds_the_token_or_the_password(
        self, client: Client, link: Link, token: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            every_answer(client, link, token)

        said = "".join(str(vars(record)) for record in caplog.records if record.name != "django.db.backends")
        assert token not in said
        assert OTHER_PASSWORD not in said

    @pytest.mark.parametrize("language", ["en", "de", "es", "fr"])
    def test_it_speaks_the_language_of_its_reader(self, client: Client, link: Link, token: str, language: str) -> None:
        shown = client.post(link.path, {"token": token}, headers={"Accept-Language": language})
        done = client.post(link.path, {"token": token, **link.form}, headers={"Accept-Language": language})

        with translation.override(language):
            assert f'<html lang="{language}"' in text(shown)
            assert f">{gettext(link.button)}</button>" in text(shown)
            assert heading(done) == gettext(link.done)

    def test_the_path_has_one_spelling(self, client: Client, link: Link) -> None:
        spellings = [f"{link.path}/", link.path.upper()]

        assert {client.get(spelling).status_code for spelling in spellings} == {HTTPStatus.NOT_FOUND}

    def test_an_outage_offers_to_try_again(
        self, client: Client, link: Link, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_args: object, **_options: object) -> None:
            raise OperationalError

        with monkeypatch.context() as outage:
            outage.setattr(OneTimeToken.objects, "select_related", away)
            answer = client.post(link.path, {"token": token, **link.form})

        assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert answer.headers["Retry-After"] == "1"
        assert hidden_tokens(text(answer)) == [token]
        assert ">Try again</button>" in text(answer)

    def test_a_name_with_markup_stays_text(self, client: Client, link: Link, token: str) -> None:
        User.objects.update(name="<b>Ada</b> & <script>alert(1)</script>")

        answer = client.post(link.path, {"token": token})

        assert b"<script>alert" not in answer.content
        assert b"&lt;b&gt;Ada&lt;/b&gt; &amp;" in answer.content


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.path)
class TestForgery:
    """The pages are forms in a browser, so they are protected like such."""

    @pytest.fixture
    def browser(self) -> Client:
        return Client(enforce_csrf_checks=True, headers={"Accept": "text/html"})

    def form_token(self, answer: Any) -> str:
        return str(re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', answer.content.decode())[0])

    def test_a_post_from_elsewhere_is_refused(self, browser: Client, link: Link, token: str) -> None:
        browser.get(link.path)
        before = stored()

        answer = browser.post(link.path, {"token": token, **link.form})

        assert answer.status_code == HTTPStatus.FORBIDDEN
        assert answer.headers["Content-Type"].startswith("text/html")
        assert stored() == before

    def test_a_foreign_origin_is_refused_even_with_the_form_token(
        self, subtests: pytest.Subtests, browser: Client, link: Link, token: str
    ) -> None:
        for origin in ["https://evil.example", "null"]:
            with subtests.test(origin=origin):
                fields = {"token": token, "csrfmiddlewaretoken": self.form_token(browser.get(link.path)), **link.form}
                before = stored()

                answer = browser.post(link.path, fields, headers={"Origin": origin})

                assert answer.status_code == HTTPStatus.FORBIDDEN
                assert stored() == before

    @pytest.mark.both_databases
    def test_the_page_s_own_forms_pass_both_steps(self, browser: Client, link: Link, token: str) -> None:
        opened = browser.get(link.path)
        shown = browser.post(link.path, {"token": token, "csrfmiddlewaretoken": self.form_token(opened)})
        fields = {"token": token, "csrfmiddlewaretoken": self.form_token(shown), **link.form}

        answer = browser.post(link.path, fields, headers={"Origin": "http://testserver"})

        assert heading(answer) == link.done


@pytest.mark.both_databases
@pytest.mark.parametrize("link", SINGLE_USE, ids=lambda link: link.path)
class TestSingleUse:
    def test_the_same_form_sent_again_changes_nothing(self, client: Client, link: Link, token: str) -> None:
        client.post(link.path, {"token": token, **link.form})
        before = stored()

        answers = [client.post(link.path, {"token": token, **form}) for form in ({}, link.form)]

        assert {answer.status_code for answer in answers} == {HTTPStatus.BAD_REQUEST}
        assert all(DEAD in text(answer) for answer in answers)
        assert stored() == before


@pytest.mark.both_databases
@pytest.mark.parametrize("link", [RESET], ids=lambda link: link.path)
class TestResetPassword:
    def test_the_form_is_made_for_password_managers_and_tells_the_rules(
        self, client: Client, link: Link, token: str
    ) -> None:
        page = text(client.post(link.path, {"token": token}))

        assert '<input hidden readonly autocomplete="username" value="alice@example.org">' in page
        (field,) = re.findall(r'<input type="password"[^>]*>', page)
        assert 'autocomplete="new-password"' in field
        assert 'aria-describedby="password-rules"' in field
        assert "aria-invalid" not in field
        rules = re.findall(r"<li>(.*?)</li>", page.partition('id="password-rules"')[2])
        assert len(rules) >= 4
        assert all(rules)

    def test_every_broken_rule_is_told_and_the_link_stays_good(self, client: Client, link: Link, token: str) -> None:
        before = stored()

        refused = client.post(link.path, {"token": token, "action": "confirm", "password": "aaaa"})

        told = re.findall(r"<li>(.*?)</li>", text(refused).partition('role="alert"')[2].partition("</ul>")[0])
        assert refused.status_code == HTTPStatus.BAD_REQUEST
        assert len(told) >= 4
        assert 'aria-describedby="problems password-rules" aria-invalid="true" autofocus' in text(refused)
        assert "aaaa" not in text(refused)
        assert hidden_tokens(text(refused)) == [token]
        assert stored() == before
        assert heading(client.post(link.path, {"token": token, **link.form})) == "Password changed"

    def test_what_is_no_password_is_refused_like_a_weak_one(
        self, subtests: pytest.Subtests, client: Client, link: Link, token: str
    ) -> None:
        for password in [{}, {"password": ""}, {"password": "\0" * 20}, {"password": "x" * 9000}]:
            with subtests.test(password=password):
                before = stored()

                answer = client.post(link.path, {"token": token, "action": "confirm", **password})

                assert answer.status_code == HTTPStatus.BAD_REQUEST
                assert hidden_tokens(text(answer)) == [token]
                assert stored() == before

    def test_a_new_password_counts_and_every_session_is_over(
        self, client: Client, alice: User, link: Link, token: str
    ) -> None:
        sign_in()

        answer = client.post(link.path, {"token": token, **link.form})

        alice.refresh_from_db()
        assert alice.check_password(OTHER_PASSWORD)
        assert not Session.objects.live_of(alice).exists()
        assert "signed out everywhere" in text(answer)

    def test_sign_in_is_offered_where_there_is_a_front_end(
        self, client: Client, settings: Settings, link: Link, token: str
    ) -> None:
        settings.FRONTEND_URL = "https://app.example.org"

        done = client.post(link.path, {"token": token, **link.form})

        assert '<a class="button primary" href="https://app.example.org">To sign-in</a>' in text(done)

    def test_without_a_front_end_no_link_leads_nowhere(self, client: Client, link: Link, token: str) -> None:
        done = client.post(link.path, {"token": token, **link.form})

        assert "To sign-in" not in text(done)


@pytest.mark.both_databases
class TestNewAddress:
    def test_confirming_changes_the_address(self, client: Client, alice: User) -> None:
        answer = client.post(CONFIRM.path, {"token": CONFIRM.token(), "action": "confirm"})

        alice.refresh_from_db()
        assert alice.email == NEW_EMAIL
        assert f"the address {NEW_EMAIL}" in text(answer)

    def test_undoing_brings_the_old_one_back_and_voids_the_password(self, client: Client, alice: User) -> None:
        ask_for_another_address()
        tokens = {letter.to: letter.token for letter in post_round() if "#token=" in letter.text}
        client.post(CONFIRM.path, {"token": tokens[NEW_EMAIL], "action": "confirm"})
        alice.refresh_from_db()
        assert alice.email == NEW_EMAIL
        sign_in(NEW_EMAIL)

        answer = client.post(UNDO.path, {"token": tokens["alice@example.org"], "action": "confirm"})

        alice.refresh_from_db()
        assert alice.email == "alice@example.org"
        assert not alice.has_usable_password()
        assert not Session.objects.live_of(alice).exists()
        assert "has the address alice@example.org again" in text(answer)
        assert '<form method="post" action="/forgot-password">' in text(answer)
        assert '<input type="hidden" name="email" value="alice@example.org">' in text(answer)


@pytest.mark.both_databases
class TestRestore:
    def test_the_account_is_back(self, client: Client, alice: User) -> None:
        token = RESTORE.token()
        assert not User.objects.get(pk=alice.pk).is_active

        client.post(RESTORE.path, {"token": token, "action": "confirm"})

        assert User.objects.get(pk=alice.pk).is_active


@pytest.mark.both_databases
class TestNotMe:
    def test_everybody_is_out_and_a_link_to_a_new_password_is_mailed(self, client: Client, alice: User) -> None:
        token = NOT_ME.token()
        assert Session.objects.live_of(alice).exists()

        client.post(NOT_ME.path, {"token": token, "action": "confirm"})

        alice.refresh_from_db()
        assert not Session.objects.live_of(alice).exists()
        assert not alice.has_usable_password()
        assert mails()[-1] == ("reset_password", "alice@example.org")


class TestForgotPassword:
    """Where the pages of dead links and of voided passwords lead."""

    PATH = "/forgot-password"

    @pytest.mark.both_databases
    def test_it_mails_a_link_and_says_the_same_for_an_address_that_nobody_has(
        self, client: Client, alice: User
    ) -> None:
        known = client.post(self.PATH, {"email": " Alice@Example.org "})
        sent = mails()
        unknown = client.post(self.PATH, {"email": "nobody@example.org"})

        assert heading(known) == "Check your mailbox"
        assert without_form_tokens(known) == without_form_tokens(unknown)
        assert sent == mails() == [("reset_password", "alice@example.org")]

    @pytest.mark.usefixtures("alice")
    def test_what_is_no_address_is_refused_and_can_be_mended(self, subtests: pytest.Subtests, client: Client) -> None:
        for email in ["", "alice", "alice@example", "x" * 300, "\0alice@example.org"]:
            with subtests.test(email=email):
                before = stored()

                answer = client.post(self.PATH, {"email": email})

                assert answer.status_code == HTTPStatus.BAD_REQUEST
                assert 'role="alert"' in text(answer)
                assert 'aria-invalid="true"' in text(answer)
                assert stored() == before

    def test_opening_it_mails_nothing(self, client: Client, alice: User) -> None:
        opened = client.get(f"{self.PATH}?email={alice.email}")

        assert opened.status_code == HTTPStatus.OK
        assert alice.email not in text(opened)
        assert mails() == []

    def test_a_post_from_elsewhere_is_refused(self, alice: User) -> None:
        browser = Client(enforce_csrf_checks=True, headers={"Accept": "text/html"})

        answer = browser.post(self.PATH, {"email": alice.email})

        assert answer.status_code == HTTPStatus.FORBIDDEN
        assert mails() == []

    @pytest.mark.usefixtures("alice")
    def test_every_answer_keeps_the_rules_of_pages(self, client: Client) -> None:
        for answer in (
            client.get(self.PATH),
            client.post(self.PATH, {"email": "alice"}),
            client.post(self.PATH, {"email": "alice@example.org"}),
        ):
            assert faults(answer.content.decode()) == []
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Referrer-Policy"] == "no-referrer"

    def test_it_speaks_the_language_of_its_reader(self, subtests: pytest.Subtests, client: Client) -> None:
        for language in ["en", "de", "es", "fr"]:
            with subtests.test(language=language):
                answer = client.get(self.PATH, headers={"Accept-Language": language})

                with translation.override(language):
                    assert f'<html lang="{language}"' in text(answer)
                    assert heading(answer) == gettext("Forgot your password?")


def without_form_tokens(answer: Any) -> str:
    return re.sub(r'(name="csrfmiddlewaretoken" value=)"[^"]+"', r"\1", answer.content.decode())

"""Every link that is mailed, followed in a browser from the mailbox to the last page."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from django.utils import translation
from django.utils.translation import gettext
from playwright.sync_api import Page, expect

from tests.cast import OTHER_PASSWORD, PASSWORD
from tests.e2e.service import FRONT_END, Embedded, Person, new_address

CODE = r"\b\d{4} \d{4}\b"
NEW_PASSWORD = "a third Horse 9 paddock!"


@pytest.fixture(autouse=True)
def _speaking(language: str) -> Iterator[None]:
    """Look texts up in the language of the reader."""
    with translation.override(language):
        yield


def follow_mail(page: Page, person: Person, path: str, *, to: str | None = None) -> None:
    """Open the newest such mail in the mailbox and click the link in it."""
    mail = person.service.mail_to(to or person.email, f"{path}#token=")
    page.goto(f"/mailbox/{mail['id']}")
    page.frame_locator("iframe").locator(f"a[href*='{path}#token=']").first.click()
    page.wait_for_url(f"**{path}")
    expect(page.locator("main form input[name=token][value]")).to_have_count(1)


def press(page: Page, text: str) -> None:
    page.get_by_role("button", name=gettext(text), exact=True).click()


def expect_title(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(gettext(text))
    expect(page.locator("html")).to_have_attribute("lang", translation.get_language() or "")


def expect_done(page: Page, text: str) -> None:
    expect_title(page, text)
    expect(page.get_by_role("status").get_by_role("heading", level=1)).to_be_visible()
    assert "#" not in page.url


def type_password(page: Page, password: str) -> None:
    page.get_by_label(gettext("New password"), exact=True).fill(password)


class TestVerify:
    @pytest.fixture
    def stranger(self, service: Embedded, language: str) -> Person:
        """Somebody who has just registered."""
        person = Person(service, language)
        person.register()
        return person

    def test_a_registration_is_confirmed(self, page: Page, stranger: Person) -> None:
        follow_mail(page, stranger, "/verify-email")
        expect_title(page, "Is this your address?")
        expect(page.locator(".facts")).to_contain_text("Ada Lovelace")
        expect(page.locator(".facts")).to_contain_text(stranger.email)
        assert not stranger.can_sign_in()

        press(page, "Confirm my address")

        expect_done(page, "Address confirmed")
        assert stranger.can_sign_in()

    def test_this_was_not_me_drops_it(self, page: Page, stranger: Person) -> None:
        follow_mail(page, stranger, "/verify-email")

        press(page, "This was not me")

        expect_done(page, "Registration deleted")
        assert not stranger.can_sign_in()
        follow_dead_link(page, stranger, "/verify-email")

    def test_a_contested_one_asks_its_owner_for_a_password(self, page: Page, stranger: Person) -> None:
        stranger.register(OTHER_PASSWORD)
        follow_mail(page, stranger, "/verify-email")

        type_password(page, "short")
        press(page, "Confirm my address")
        expect(page.get_by_role("alert")).to_be_visible()
        assert page.get_by_role("alert").locator("li").count() >= 1
        type_password(page, NEW_PASSWORD)
        press(page, "Confirm my address")

        expect_done(page, "Address confirmed")
        assert [stranger.can_sign_in(password=tried) for tried in (PASSWORD, OTHER_PASSWORD, NEW_PASSWORD)] == [
            False,
            False,
            True,
        ]


def follow_dead_link(page: Page, person: Person, path: str, *, to: str | None = None) -> None:
    """Open the newest such mail again: its link is over, and the page says what to do."""
    mail = person.service.mail_to(to or person.email, f"{path}#token=")
    page.goto(f"/mailbox/{mail['id']}")
    page.frame_locator("iframe").locator(f"a[href*='{path}#token=']").first.click()
    expect(page.get_by_role("alert")).to_have_text(gettext("This link is not valid or no longer valid."))
    expect(page.get_by_role("textbox", name=gettext("Link from the mail"))).to_be_visible()


class TestForgottenPassword:
    @pytest.fixture
    def forgetful(self, ada: Person) -> Person:
        """Somebody who has asked for a link."""
        assert ada.post("/auth/password/forgot", {"email": ada.email}).status_code == HTTPStatus.ACCEPTED
        return ada

    def test_a_new_password_is_set_and_ends_every_session(self, page: Page, forgetful: Person) -> None:
        before = forgetful.signed_in()
        follow_mail(page, forgetful, "/reset-password")
        expect_title(page, "Set a new password")

        type_password(page, NEW_PASSWORD)
        press(page, "Set the password")

        expect_done(page, "Password changed")
        assert not forgetful.is_signed_in(before)
        assert not forgetful.can_sign_in(password=PASSWORD)
        assert forgetful.can_sign_in(password=NEW_PASSWORD)
        follow_dead_link(page, forgetful, "/reset-password")

    def test_a_weak_password_is_refused_with_every_reason_and_the_link_stays_good(
        self, page: Page, forgetful: Person
    ) -> None:
        follow_mail(page, forgetful, "/reset-password")

        type_password(page, "aaaa")
        press(page, "Set the password")

        field = page.get_by_label(gettext("New password"), exact=True)
        expect(field).to_be_focused()
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_value("")
        assert page.get_by_role("alert").locator("li").count() >= 2
        assert forgetful.can_sign_in(password=PASSWORD)
        type_password(page, NEW_PASSWORD)
        press(page, "Set the password")
        expect_done(page, "Password changed")

    def test_the_password_can_be_read_while_it_is_typed(self, page: Page, forgetful: Person) -> None:
        follow_mail(page, forgetful, "/reset-password")
        field = page.get_by_label(gettext("New password"), exact=True)
        expect(field).to_have_attribute("type", "password")

        page.get_by_label(gettext("Show the password")).check()

        expect(field).to_have_attribute("type", "text")


class TestNewAddress:
    @pytest.fixture
    def new_email(self) -> str:
        return new_address()

    @pytest.fixture
    def tokens(self, ada: Person, new_email: str) -> dict[str, Any]:
        """The session in which the change was asked for."""
        tokens = ada.signed_in()
        answer = ada.post("/users/me/email", {"newEmail": new_email}, tokens["accessToken"])
        assert answer.status_code == HTTPStatus.ACCEPTED
        return tokens

    def test_it_is_confirmed_at_the_new_address(
        self, page: Page, ada: Person, new_email: str, tokens: dict[str, Any]
    ) -> None:
        follow_mail(page, ada, "/confirm-email", to=new_email)
        expect(page.locator(".facts")).to_contain_text(new_email)
        assert ada.is_signed_in(tokens)

        press(page, "Use the new address")

        expect_done(page, "Address changed")
        assert not ada.is_signed_in(tokens)
        assert ada.can_sign_in(email=new_email)
        assert not ada.can_sign_in()
        follow_dead_link(page, ada, "/confirm-email", to=new_email)

    @pytest.mark.usefixtures("tokens")
    def test_it_is_taken_back_from_the_old_one(self, page: Page, ada: Person, new_email: str) -> None:
        follow_mail(page, ada, "/confirm-email", to=new_email)
        press(page, "Use the new address")
        expect_done(page, "Address changed")
        thief = ada.signed_in(email=new_email)

        follow_mail(page, ada, "/undo-email-change")
        expect(page.locator(".facts")).to_contain_text(ada.email)
        press(page, "Take the change back")

        expect_done(page, "Your address is back")
        assert not ada.is_signed_in(thief)
        assert not ada.can_sign_in(email=new_email)
        assert not ada.can_sign_in()
        press(page, "Mail me a link to set one")
        expect_done(page, "Check your mailbox")
        follow_mail(page, ada, "/reset-password")
        type_password(page, NEW_PASSWORD)
        press(page, "Set the password")
        expect_done(page, "Password changed")
        assert ada.can_sign_in(password=NEW_PASSWORD)


class TestLeaving:
    def test_a_deletion_is_taken_back(self, page: Page, ada: Person) -> None:
        tokens = ada.signed_in()
        deleted = ada.service.http.delete(
            "/api/v1/users/me", headers={"Authorization": f"Bearer {tokens['accessToken']}"}
        )
        assert deleted.status_code == HTTPStatus.ACCEPTED
        assert not ada.can_sign_in()

        follow_mail(page, ada, "/restore")
        press(page, "Restore my account")

        expect_done(page, "Account restored")
        assert not ada.is_signed_in(tokens)
        assert ada.can_sign_in()
        follow_dead_link(page, ada, "/restore")


class TestNewDevice:
    def test_a_sign_in_is_disowned_and_the_password_set_anew(self, page: Page, ada: Person) -> None:
        thief = ada.signed_in(deviceName="a stranger's phone")

        follow_mail(page, ada, "/not-me")
        expect(page.locator(".facts")).to_contain_text(ada.email)
        press(page, "This was not me")

        expect_done(page, "Your account is secured")
        assert not ada.is_signed_in(thief)
        assert not ada.can_sign_in()
        follow_mail(page, ada, "/reset-password")
        type_password(page, NEW_PASSWORD)
        press(page, "Set the password")
        expect_done(page, "Password changed")
        assert ada.can_sign_in(password=NEW_PASSWORD)


class TestMagicLink:
    """No page of ours could keep the tokens: the mail has a code, and the link of a front end where there is one."""

    def test_the_code_in_the_mail_signs_in(self, ada: Person) -> None:
        assert ada.post("/auth/magic-link", {"email": ada.email}).status_code == HTTPStatus.ACCEPTED
        mail = ada.service.mail_to(ada.email, CODE)
        code = re.findall(CODE, mail["text"])[0]

        answer = ada.post("/auth/magic-link/verify", {"email": ada.email, "code": code.replace(" ", "")})

        assert answer.status_code == HTTPStatus.OK, answer.text
        assert ada.is_signed_in(answer.json()["data"])
        assert "#token=" not in mail["text"]

    def test_with_a_front_end_the_mail_has_its_link(self, behind_front_end: Embedded, language: str) -> None:
        person = Person(behind_front_end, language).enrolled()

        assert person.post("/auth/magic-link", {"email": person.email}).status_code == HTTPStatus.ACCEPTED

        mail = behind_front_end.mail_to(person.email, CODE)
        assert f"{FRONT_END}/magic-link#token=" in mail["text"]
        assert f"{FRONT_END}/magic-link#token=" in mail["html"]


class TestBrowser:
    """What holds for the page as such, seen on the first of them."""

    @pytest.fixture
    def link(self, service: Embedded, language: str) -> str:
        person = Person(service, language)
        person.register()
        return link_in(service.mail_to(person.email, "/verify-email#token="))

    def test_without_javascript_the_link_is_pasted(
        self, service: Embedded, browser: Any, language: str, link: str
    ) -> None:
        context = browser.new_context(java_script_enabled=False, locale=language)
        page = context.new_page()
        page.goto(link)

        page.get_by_role("textbox", name=gettext("Link from the mail")).fill(link)
        press(page, "Go on")
        press(page, "Confirm my address")

        expect_done(page, "Address confirmed")
        context.close()

    def test_the_token_leaves_the_address_bar_and_the_history(self, page: Page, link: str) -> None:
        page.goto(link)
        expect_title(page, "Is this your address?")

        assert "#" not in page.url
        page.go_back()
        assert "#" not in page.url

    def test_no_request_but_a_post_to_the_page_itself_tells_the_token(self, page: Page, link: str) -> None:
        token = link.partition("#token=")[2]
        asked: list[tuple[str, str, bool]] = []
        page.on("request", lambda sent: asked.append((sent.method, sent.url.partition("#")[0], holds(sent, token))))

        page.goto(link)
        expect_title(page, "Is this your address?")

        assert [(method, url) for method, url, told in asked if told] == [("POST", link.partition("#")[0])]
        assert not any(token in url for _method, url, _told in asked)

    def test_the_console_has_nothing_to_say(self, page: Page, link: str) -> None:
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda failure: said.append(str(failure)))

        page.goto(link)
        press(page, "Confirm my address")
        expect_done(page, "Address confirmed")

        assert said == []

    def test_a_second_link_opens_where_the_first_is_shown(
        self, page: Page, service: Embedded, language: str, link: str
    ) -> None:
        page.goto(link)
        expect_title(page, "Is this your address?")
        other = Person(service, language, name="Grace Hopper")
        other.register()
        second = link_in(service.mail_to(other.email, "/verify-email#token="))

        page.evaluate("link => { window.location.href = link }", second)

        expect(page.locator(".facts")).to_contain_text("Grace Hopper")


def link_in(mail: dict[str, str]) -> str:
    return next(word for word in mail["text"].split() if "#token=" in word)


def holds(sent: Any, token: str) -> bool:
    """Tell whether a request carries a token, in whatever place the server would see."""
    parts = [sent.url.partition("#")[0], sent.post_data or "", *sent.all_headers().values()]
    return any(token in part for part in parts)

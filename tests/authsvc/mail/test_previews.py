"""Every mail, as its preview shows it: complete, in every language, and readable by everybody."""

import re
from http import HTTPStatus
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.mail_samples import MAIL_SAMPLES
from accounts.models import User
from authsvc.mail.models import OutgoingMail
from authsvc.mail.render import Rendered, Sample, render
from tests.cast import PASSWORD

ROOT = Path(__file__).resolve().parents[3]
LANGUAGES = [code for code, _name in configured.LANGUAGES]
ON_DISK = {
    str(path.relative_to(folder)).removesuffix(".subject.txt")
    for folder in ROOT.glob("*/**/templates")
    for path in folder.rglob("email/*.subject.txt")
    if folder.relative_to(ROOT).parts[0] in {"accounts", "authsvc"}
}
every_mail = pytest.mark.parametrize("sample", MAIL_SAMPLES, ids=lambda sample: sample.template)

pytestmark = pytest.mark.urls("tests.authsvc.mail.mailbox_urls")


@pytest.fixture
def browser(settings: Settings) -> Client:
    """Return a browser on the same machine."""
    settings.EMBEDDED = True
    settings.ALLOWED_HOSTS = ["*"]
    return Client(headers={"host": "127.0.0.1:8000"}, REMOTE_ADDR="127.0.0.1")


def rendered(sample: Sample, language: str) -> Rendered:
    return render(template=sample.template, language=language, context=sample.context)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (WCAG 2.2)."""
    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def test_every_mail_has_a_sample() -> None:
    assert {sample.template for sample in MAIL_SAMPLES} == ON_DISK
    assert len(MAIL_SAMPLES) == len(ON_DISK)


@every_mail
def test_a_mail_says_in_both_forms_everything_that_it_was_given(subtests: pytest.Subtests, sample: Sample) -> None:
    for language in LANGUAGES:
        with subtests.test(language=language):
            mail = rendered(sample, language)

            for key, value in sample.context.items():
                for form in (mail.text, mail.html.replace("&#x27;", "'")):
                    assert value in form, key
            assert mail.subject
            assert "{{" not in mail.subject + mail.text + mail.html
            assert "{%" not in mail.subject + mail.text + mail.html
            assert "\n\n\n" not in mail.text
            assert "  " not in mail.text


@every_mail
def test_a_mail_is_whole_without_what_is_not_known(subtests: pytest.Subtests, sample: Sample) -> None:
    """Names are left out where they could carry a message, and a device may be unknown."""
    for language in LANGUAGES:
        with subtests.test(language=language):
            bare = {
                key: "" if key == "name" or key.endswith("_name") or key == "ip" else value
                for key, value in sample.context.items()
            }
            mail = render(template=sample.template, language=language, context=bare)

            assert " ," not in mail.text
            assert "\n\n\n" not in mail.text
            assert not re.search(r": *$", mail.text.replace(":\n\n", "\n\n"), re.MULTILINE)


@every_mail
def test_a_mail_is_readable_for_screen_readers(subtests: pytest.Subtests, sample: Sample) -> None:
    for language in LANGUAGES:
        with subtests.test(language=language):
            html = rendered(sample, language).html

            assert f'<html lang="{language}" dir="ltr">' in html
            assert html.count("<h1") == 1
            assert re.search(r"<title>[^<]+</title>", html)
            assert len(re.findall(r"<table\b", html)) == len(re.findall(r'<table role="presentation"', html))
            assert not re.search(r"<(img|script|link|iframe|form)\b", html)
            assert not re.search(r'href="(?!https?://)', html)


@every_mail
def test_the_list_of_a_mail_program_shows_what_a_mail_is_about(subtests: pytest.Subtests, sample: Sample) -> None:
    for language in LANGUAGES:
        with subtests.test(language=language):
            mail = rendered(sample, language)

            found = re.search(r'<div style="display:none[^"]*">([^<]*)</div>', mail.html)

            assert found is not None
            assert len(found[1]) > 20
            assert "://" not in found[1]


@every_mail
def test_a_mail_has_contrast_by_day_and_by_night(subtests: pytest.Subtests, sample: Sample) -> None:
    for language in LANGUAGES:
        with subtests.test(language=language):
            html = rendered(sample, language).html
            ground, night_ground = "#ffffff", "#21242b"
            assert f"background:{ground}" in html
            by_class = dict(re.findall(r"^\.([\w-]+) \{([^}]*)\}", html, re.MULTILINE))
            assert f"background: {night_ground}" in by_class["card"]

            for classes, style in re.findall(
                r'<(?:a|p|td|strong|code|span)\b(?=[^>]*class="([\w -]+)")[^>]*style="([^"]*)"', html
            ):
                day = dict(re.findall(r"(?<![\w-])(color|background):(#\w{6})", style))
                night = dict(re.findall(r"(?<![\w-])(color|background): (#\w{6})", by_class.get(classes, "")))
                if "color" not in day:
                    continue
                assert contrast(day["color"], day.get("background", "#f4f5f7")) >= 4.5, classes
                assert "color" in night, f"{classes} keeps its colour by night"
                assert contrast(night["color"], night.get("background", night_ground)) >= 4.5, classes
            assert not re.findall(
                r'<(?!body)\w+ (?![^>]*class=)[^>]*style="[^"]*(?<!-)color:', html
            )  # would stay as by day


@pytest.mark.django_db
def test_the_mailbox_leads_to_the_previews(browser: Client) -> None:
    assert b'href="/mailbox/previews/"' in browser.get("/mailbox").content

    page = browser.get("/mailbox/previews/").content.decode()

    for sample in MAIL_SAMPLES:
        for language in LANGUAGES:
            assert f'href="/mailbox/previews/{language}/{sample.template}"' in page


@every_mail
def test_a_preview_shows_the_mail(subtests: pytest.Subtests, browser: Client, sample: Sample) -> None:
    for language in LANGUAGES:
        with subtests.test(language=language):
            mail = rendered(sample, language)

            page = browser.get(f"/mailbox/previews/{language}/{sample.template}")
            body = browser.get(f"/mailbox/previews/{language}/{sample.template}/body")

            assert (page.status_code, body.status_code) == (HTTPStatus.OK, HTTPStatus.OK)
            assert f'<h1 lang="{language}">{mail.subject.replace("&", "&amp;")}</h1>' in page.content.decode().replace(
                "&#x27;", "'"
            )
            assert f'src="/mailbox/previews/{language}/{sample.template}/body"' in page.content.decode()
            assert body.content.decode() == mail.html.replace("<head>", '<head><base target="_top">', 1)
            assert "sandbox" in body["Content-Security-Policy"]
            assert "script" not in body["Content-Security-Policy"]
            assert body["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.parametrize("path", ["xx/accounts/email/verify_email", "en/authsvc/email/base", "en/no/such"])
def test_there_are_no_other_previews(browser: Client, path: str) -> None:
    for end in ("", "/body"):
        assert browser.get(f"/mailbox/previews/{path}{end}").status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("path", ["", "en/accounts/email/verify_email", "en/accounts/email/verify_email/body"])
def test_the_previews_of_the_mailbox_are_for_this_machine(settings: Settings, browser: Client, path: str) -> None:
    assert browser.get(f"/mailbox/previews/{path}", REMOTE_ADDR="192.0.2.1").status_code == HTTPStatus.NOT_FOUND
    settings.EMBEDDED = False
    assert browser.get(f"/mailbox/previews/{path}").status_code == HTTPStatus.NOT_FOUND


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["", "de/accounts/email/verify_email", "de/accounts/email/verify_email/body"])
def test_in_the_admin_the_previews_are_for_staff(client: Client, alice: User, path: str) -> None:
    place = f"/admin/mail/outgoingmail/previews/{path}"

    assert client.get(place).status_code == HTTPStatus.FOUND
    client.force_login(alice, "accounts.authentication.AdminBackend")
    assert client.get(place).status_code == HTTPStatus.FOUND


@pytest.mark.django_db
def test_staff_sees_every_mail_in_the_admin(client: Client, admin: User) -> None:
    assert client.login(username=admin.email, password=PASSWORD)

    outbox = client.get("/admin/mail/outgoingmail/").content.decode()
    index = client.get("/admin/mail/outgoingmail/previews/").content.decode()
    mail = "/admin/mail/outgoingmail/previews/de/accounts/email/verify_email"
    page, body = client.get(mail), client.get(f"{mail}/body")

    assert 'href="/admin/mail/outgoingmail/previews/"' in outbox
    assert f'href="{mail}"' in index
    assert f'src="{mail}/body"' in page.content.decode()
    assert "Bestätige deine E-Mail-Adresse" in body.content.decode()
    assert OutgoingMail.objects.filter(template__endswith="verify_email").count() == 0

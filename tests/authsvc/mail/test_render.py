"""What the mails say, in which language, and what a name cannot make them say."""

import pytest
from django.core.mail import EmailMultiAlternatives
from django.template import Engine
from pytest_django.fixtures import Settings

from authsvc.mail import delivery
from authsvc.mail.render import Rendered, presentable, render
from tests.authsvc.mail.conftest import LINK, Queue

LANGUAGES = ["en", "de", "es", "fr"]
SUBJECTS = {
    "accounts/email/verify_email": {
        "en": "Confirm your email address",
        "de": "Bestätige deine E-Mail-Adresse",
        "es": "Confirma tu dirección de correo",
        "fr": "Confirmez votre adresse e-mail",
    },
    "accounts/email/already_registered": {
        "en": "You already have an account",
        "de": "Du hast schon ein Konto",
        "es": "Ya tienes una cuenta",
        "fr": "Vous avez déjà un compte",
    },
}
HOSTILE = [
    "https://evil.example/win",
    "evil.example",
    "www.evil.example",
    "evil。example",
    "evil\uff0eexample",
    "javascript:alert(1)",
    "<b>Alice</b>",
    '<a href="https://evil.example">Alice</a>',
    "Alice\r\nBcc: all@example.com",
    "Alice\nBcc: all@example.com",
    "Alice\u2028Bcc",
    "alice@evil.example",
    "Call +1 555 010 9999",
    "{{ link }}",
    "Alice\u202egnp",
    "Al\u200bice",
    "you have won a prize and must come to claim it",
    "Alice & Bob / Eve",
    "\u2060",
]


def verification(name: str = "Alice", language: str = "en") -> Rendered:
    """Render the verification mail."""
    return render(
        template="accounts/email/verify_email",
        language=language,
        context={"name": name, "link": LINK, "hours": "24"},
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", SUBJECTS)
def test_every_mail_speaks_four_languages(template: str, language: str) -> None:
    context = {"name": "Alice", "link": LINK, "hours": "24", "sign_in_url": "https://id.example.com/"}

    mail = render(template=template, language=language, context=context)

    assert mail.subject == SUBJECTS[template][language]
    assert f'<html lang="{language}"' in mail.html
    assert f"<title>{SUBJECTS[template][language]}</title>" in mail.html
    assert "Alice" in mail.text
    assert "Alice" in mail.html
    link = LINK if "verify" in template else "https://id.example.com/"
    assert f"\n{link}\n" in mail.text
    assert f'href="{link}"' in mail.html


def test_a_language_that_we_do_not_speak_becomes_english() -> None:
    assert verification(language="tlh").subject == "Confirm your email address"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_with_a_message_of_its_own_is_left_out(name: str) -> None:
    mail = verification(name)

    assert presentable(name) == ""
    assert mail == verification("")
    assert mail.text.startswith("Hello,\n")


@pytest.mark.parametrize(
    "name",
    [
        "Alice",
        "J. R. O'Brien-Smith",
        "Łukasz Żółć",
        "李小龙",
        "محمد علي",
        "अमित",
        "Zoë d\u2019Arc",
        "Martin King Jr.",
        "bob99",
    ],
)
def test_a_name_greets_as_it_is_written(name: str) -> None:
    mail = verification(name)

    assert presentable(name) == name
    assert mail.text.startswith(f"Hello {name},\n")


def test_html_escapes_and_text_does_not() -> None:
    mail = verification("O'Brien")

    assert "Hello O&#x27;Brien," in mail.html
    assert "Hello O'Brien," in mail.text


def test_a_subject_stays_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(
        loaders=[
            (
                "django.template.loaders.locmem.Loader",
                {"m.subject.txt": "Hi {{ what }}\n", "m.txt": "x", "m.html": "x"},
            )
        ]
    )
    monkeypatch.setattr(Engine, "get_default", lambda: engine)

    mail = render(template="m", language="en", context={"what": "you\r\nBcc: all@example.com\x00\u2028!"})

    assert mail.subject == "Hi you Bcc: all@example.com !"


@pytest.mark.django_db
def test_no_name_adds_a_header_or_a_recipient(
    settings: Settings, queued: Queue, mailoutbox: list[EmailMultiAlternatives]
) -> None:
    settings.EMBEDDED = False
    for name in HOSTILE:
        mail = queued(context={"name": name, "link": LINK, "hours": "24"})
        delivery.deliver(mail_id=mail.pk)

    assert len(mailoutbox) == len(HOSTILE)
    for message in mailoutbox:
        raw = message.message()
        assert message.recipients() == ["alice@example.com"]
        assert raw.get_all("To") == ["alice@example.com"]
        assert raw["Bcc"] is None
        assert str(raw["Subject"]) == "Confirm your email address"


@pytest.mark.parametrize("template", SUBJECTS)
def test_mails_load_nothing_and_follow_the_reader_into_the_dark(template: str) -> None:
    html = render(template=template, language="en", context={"name": "", "link": LINK, "sign_in_url": "x"}).html

    assert "prefers-color-scheme: dark" in html
    assert '<meta name="color-scheme" content="light dark">' in html
    for loading in ("<img", "<script", "<link", "url(", "src=", "@import"):
        assert loading not in html

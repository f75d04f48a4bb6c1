"""The owner of a session that ended because its refresh token was used twice is told, once."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from http import HTTPStatus

import pytest
from django.utils import timezone

from accounts.models import User
from authsvc.mail.models import OutgoingMail
from tests.cast import Answer, Api, Letter, post_round
from tests.crowd import at_once
from tests.lineage import Tokens, change, refreshed, refused, row, session_events

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

SECOND = timedelta(seconds=1)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SUBJECTS = {
    "en": "A session of yours was ended for your safety",
    "de": "Eine deiner Sitzungen wurde zu deiner Sicherheit beendet",
    "es": "Por tu seguridad hemos terminado una de tus sesiones",
    "fr": "Une de vos sessions a été fermée pour votre sécurité",
}


@pytest.fixture
def first(alice: User) -> Tokens:
    """Alice has signed in on her laptop, and the mail about that is long delivered and gone."""
    laptop = Api(REMOTE_ADDR="192.0.2.10", HTTP_USER_AGENT=FIREFOX)
    tokens: Tokens = laptop.login(alice.email).data
    OutgoingMail.objects.all().delete()
    return tokens


@pytest.fixture
def thief() -> Api:
    """Somebody on another network."""
    return Api(REMOTE_ADDR="203.0.113.66", HTTP_USER_AGENT="curl/8")


def reuse(api: Api, thief: Api, tokens: Tokens) -> Letter:
    """Use a token a second time, too late; return the mail that follows."""
    assert api.refresh(tokens["refreshToken"]).status == HTTPStatus.OK
    refreshed(tokens, 11 * SECOND)
    assert refused(thief.refresh(tokens["refreshToken"])) == "invalid_token"
    (letter,) = post_round()
    return letter


def mails() -> int:
    return OutgoingMail.objects.filter(template="tokens/email/session_reuse").count()


def test_the_mail_says_what_when_from_where_and_what_to_do(api: Api, thief: Api, alice: User, first: Tokens) -> None:
    letter = reuse(api, thief, first)

    assert letter.to == alice.email
    assert letter.subject == SUBJECTS["en"]
    for text in (letter.text, letter.html):
        assert "Firefox, Linux" in text
        assert "203.0.113.66" in text
        assert f"{timezone.now():%Y-%m-%d}" in text
        assert "UTC" in text
        assert "Hello Alice," in text
        assert "change your password" in text


def test_the_mail_has_no_link_and_nothing_secret(api: Api, thief: Api, first: Tokens) -> None:
    letter = reuse(api, thief, first)

    for text in (letter.subject, letter.text, letter.html):
        assert "token=" not in text
        assert "href=" not in text
        assert "http" not in text.replace('<meta http-equiv="', "")
        assert first["refreshToken"] not in text
        assert first["session"]["id"] not in text


def test_it_is_written_in_the_language_of_the_owner(api: Api, thief: Api, alice: User, first: Tokens) -> None:
    seen = {}
    for language in SUBJECTS:
        User.objects.filter(pk=alice.pk).update(locale=language)
        tokens = api.login(alice.email).data
        post_round()  # the mail about that sign-in
        seen[language] = reuse(api, thief, tokens)

    assert {language: letter.subject for language, letter in seen.items()} == SUBJECTS
    assert len({letter.text.partition("203.0.113.66")[0] for letter in seen.values()}) == 4


def test_the_grandparent_mails_even_within_ten_seconds(api: Api, thief: Api, first: Tokens) -> None:
    second = api.refresh(first["refreshToken"]).data
    api.refresh(second["refreshToken"])

    assert refused(thief.refresh(first["refreshToken"])) == "invalid_token"

    assert mails() == 1


def test_good_refreshes_and_a_second_tab_mail_nothing(api: Api, first: Tokens) -> None:
    second = api.refresh(first["refreshToken"]).data
    again = api.refresh(first["refreshToken"])
    third = api.refresh(second["refreshToken"])

    assert [again.status, third.status] == [HTTPStatus.OK] * 2
    assert OutgoingMail.objects.count() == 0


def test_what_ends_no_session_mails_nothing(api: Api, thief: Api, first: Tokens) -> None:
    token = first["refreshToken"]
    forged = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")

    for presented in (forged, token[:-1], "x"):
        assert thief.refresh(presented).status == HTTPStatus.UNAUTHORIZED
    change(first, ended_at=timezone.now(), end_reason="logout")
    assert thief.refresh(token).status == HTTPStatus.UNAUTHORIZED

    assert OutgoingMail.objects.count() == 0


def test_used_again_and_again_it_mails_once(api: Api, thief: Api, first: Tokens) -> None:
    reuse(api, thief, first)

    for _ in range(3):
        assert refused(thief.refresh(first["refreshToken"])) == "invalid_token"

    assert mails() == 1


@pytest.mark.parametrize(
    ("device_name", "shown"),
    [
        ("Alice's laptop", "Alice's laptop"),
        ("call +49 30 1234567", "Firefox, Linux"),
        ("evil.example/reset", "Firefox, Linux"),
        ('<a href="//evil">', "Firefox, Linux"),
    ],
)
def test_a_name_that_could_carry_a_message_is_left_out(
    api: Api, thief: Api, first: Tokens, device_name: str, shown: str
) -> None:
    change(first, device_name=device_name)

    letter = reuse(api, thief, first)

    assert f"Device: {shown}" in letter.text
    assert "evil" not in letter.text + letter.html


def test_what_is_not_known_is_said_to_be_unknown(api: Api, first: Tokens) -> None:
    change(first, user_agent="")

    letter = reuse(api, Api(REMOTE_ADDR=""), first)

    assert "Device: unknown" in letter.text
    assert "IP address of the attempt: unknown" in letter.text


def test_mail_and_end_of_the_session_stand_or_fall_together(
    api: Api, thief: Api, first: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.refresh(first["refreshToken"])
    refreshed(first, 11 * SECOND)

    def broken(*_args: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(OutgoingMail, "seal_context", broken)
        assert thief.refresh(first["refreshToken"]).status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert (row(first)["ended_at"], session_events(), mails()) == (None, [], 0)

    thief.refresh(first["refreshToken"])
    assert (row(first)["end_reason"], session_events(), mails()) == ("reuse", ["session.refresh.reused"], 1)


@pytest.mark.django_db(transaction=True)
def test_used_late_by_many_at_once_it_mails_once(api: Api, first: Tokens) -> None:
    api.refresh(first["refreshToken"])
    refreshed(first, 11 * SECOND)
    refreshing: Callable[[], Answer] = partial(Api(REMOTE_ADDR="203.0.113.66").refresh, first["refreshToken"])

    answers = at_once([refreshing] * 12)

    assert {refused(answer) for answer in answers} == {"invalid_token"}
    assert mails() == 1
    assert session_events().count("session.refresh.reused") == 1

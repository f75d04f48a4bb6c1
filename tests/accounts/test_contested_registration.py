"""One address, registered with more than one password: only the owner of the mailbox may say which counts."""

from http import HTTPStatus

import pytest

from accounts.models import User
from authsvc.tokens.models import OneTimeToken
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Api, post_round
from tests.ledger import events, mails, stored

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ADA = "ada@example.org"
OWN_PASSWORD = "a-third-Horse-9-paperclip"


def links() -> list[str]:
    """Deliver what waits; return the tokens, oldest first."""
    return [letter.token for letter in post_round()]


@pytest.fixture
def tokens(api: Api) -> list[str]:
    """The links of two registrations with different passwords, the first one's mailed before the second."""
    api.register(ADA, PASSWORD, name="Ada")
    old = links()
    api.register(ADA, OTHER_PASSWORD, name="Mallory")
    return old + links()


def test_the_first_password_counts_no_more_and_the_second_does_not_either(api: Api, tokens: list[str]) -> None:
    assert len(tokens) == 2
    assert not User.objects.get().has_usable_password()
    for password in (PASSWORD, OTHER_PASSWORD):
        assert api.login(ADA, password).codes == ["invalid_credentials"]
    assert mails() == [("verify_email", ADA)] * 2
    assert events()[:2] == ["account.registration.created", "account.registration.contested"]


@pytest.mark.parametrize("which", [0, 1], ids=["old link", "new link"])
def test_every_link_asks_for_a_password_and_is_not_used_up_by_that(api: Api, tokens: list[str], which: int) -> None:
    before = stored()

    posted = api.verify(tokens[which])
    followed = api.get(f"{V1}/auth/verify-email?token={tokens[which]}")

    for answer in (posted, followed):
        assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"password": "required"})
    assert stored() == before
    assert not OneTimeToken.objects.filter(consumed_at__isnull=False).exists()


@pytest.mark.parametrize(
    ("weak", "code"),
    [
        ("", "password_too_short"),
        ("short", "password_too_short"),
        ("a" * 129, "password_too_long"),
        ("administrator", "password_common"),
        ("ada@example.org", "password_similar"),
        ("correct Horse\0 7 battery", "invalid_character"),
    ],
    ids=ascii,
)
def test_a_refused_password_leaves_the_link_usable(api: Api, tokens: list[str], weak: str, code: str) -> None:
    before = stored()

    refused = api.verify(tokens[0], weak)
    unchanged = stored() == before
    taken = api.verify(tokens[0], OWN_PASSWORD)

    assert (refused.status, set(refused.problems)) == (HTTPStatus.BAD_REQUEST, {"password"})
    assert code in refused.codes
    assert unchanged
    assert taken.status == HTTPStatus.OK


@pytest.mark.parametrize("which", [0, 1], ids=["old link", "new link"])
def test_the_password_set_with_the_link_is_the_one_that_works(api: Api, tokens: list[str], which: int) -> None:
    answer = api.verify(tokens[which], OWN_PASSWORD)

    assert (answer.status, answer.data["isVerified"], answer.data["name"]) == (HTTPStatus.OK, True, "Ada")
    assert api.login(ADA, OWN_PASSWORD).status == HTTPStatus.OK
    for password in (PASSWORD, OTHER_PASSWORD):
        assert api.login(ADA, password).codes == ["invalid_credentials"]
    assert events()[2] == "account.email.verified"


def test_the_owner_may_choose_one_of_the_registered_passwords(api: Api, tokens: list[str]) -> None:
    api.verify(tokens[0], PASSWORD)

    assert api.login(ADA, PASSWORD).status == HTTPStatus.OK
    assert api.login(ADA, OTHER_PASSWORD).codes == ["invalid_credentials"]


def test_the_other_link_changes_nothing_afterwards(api: Api, tokens: list[str]) -> None:
    api.verify(tokens[1], OWN_PASSWORD)
    before = stored()

    answers = [api.verify(tokens[0], PASSWORD), api.verify(tokens[0]), api.verify(tokens[1], PASSWORD)]

    assert [answer.status for answer in answers] == [HTTPStatus.OK] * 3
    assert stored() == before


@pytest.mark.parametrize("last", [PASSWORD, OTHER_PASSWORD, "a-fourth-Horse-3-blanket"])
def test_no_further_registration_brings_a_password_back(api: Api, tokens: list[str], last: str) -> None:
    before = User.objects.values().get()

    api.register(ADA, last)

    tokens += links()
    assert User.objects.values().get() == before
    assert len(tokens) == 3
    assert [api.verify(token).problems for token in tokens] == [{"password": "required"}] * 3
    assert api.verify(tokens[0], OWN_PASSWORD).status == HTTPStatus.OK
    assert [api.login(ADA, password).status for password in (PASSWORD, OTHER_PASSWORD, last, OWN_PASSWORD)] == [
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.OK,
    ]


def test_asking_for_another_link_brings_no_password_back(api: Api, tokens: list[str]) -> None:
    api.post(f"{V1}/auth/verify-email/resend", {"email": ADA})
    tokens += links()

    assert len(tokens) == 3
    assert [api.verify(token).problems for token in tokens] == [{"password": "required"}] * 3


def test_a_registration_that_nobody_contests_takes_no_password(api: Api) -> None:
    api.register(ADA)
    (token,) = links()
    before = stored()

    refused = [api.verify(token, password) for password in (PASSWORD, OWN_PASSWORD)]
    unchanged = stored() == before

    assert [answer.problems for answer in refused] == [{"password": "unknown_field"}] * 2
    assert unchanged
    assert api.verify(token).status == HTTPStatus.OK
    assert api.login(ADA, PASSWORD).status == HTTPStatus.OK


def test_the_same_password_again_contests_nothing(api: Api) -> None:
    api.register(ADA)
    api.register(ADA)
    tokens = links()

    assert len(tokens) == 2
    assert api.verify(tokens[0]).status == HTTPStatus.OK
    assert api.login(ADA, PASSWORD).status == HTTPStatus.OK


def test_who_comes_after_the_verification_contests_nothing(api: Api) -> None:
    api.register(ADA)
    (token,) = links()
    api.verify(token)
    before = User.objects.values().get()

    api.register(ADA, OTHER_PASSWORD)

    assert User.objects.values().get() == before
    assert mails() == [("verify_email", ADA), ("already_registered", ADA)]
    assert api.login(ADA, PASSWORD).status == HTTPStatus.OK
    assert api.login(ADA, OTHER_PASSWORD).codes == ["invalid_credentials"]


@pytest.mark.parametrize("wrong", [None, 7, True, [], {}], ids=str)
def test_the_password_is_text(api: Api, tokens: list[str], wrong: object) -> None:
    before = stored()

    answer = api.post(f"{V1}/auth/verify-email", {"token": tokens[0], "password": wrong})

    assert answer.problems == {"password": "invalid_type"}
    assert stored() == before


def test_no_password_is_taken_from_an_address_bar(api: Api, tokens: list[str]) -> None:
    answer = api.get(f"{V1}/auth/verify-email?token={tokens[0]}&password={OWN_PASSWORD.replace(' ', '%20')}")

    assert answer.problems == {"password": "unknown_field"}
    assert not User.objects.get().is_verified

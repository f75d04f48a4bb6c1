"""Asking for one's deletion, and taking it back."""

from datetime import timedelta
from http import HTTPStatus
from uuid import uuid4

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import ErasureRequest, User
from accounts.services import lifecycle
from accounts.services.links import InvalidLink
from audit.models import Event
from audit.origin import Origin
from authsvc import crypto
from authsvc.mail.queue import enqueue
from authsvc.tokens.models import OneTimeToken, Purpose
from authsvc.tokens.services import one_time
from authsvc.tokens.services.access import InvalidToken
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Answer, Api, enrol, post_round
from tests.ledger import events, mails, spoken, stored
from tests.lineage import Tokens, change, refused, row

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

OPERATOR = Origin.system("tests")
SECOND = timedelta(seconds=1)


@pytest.fixture
def hers(api: Api, alice: User) -> Tokens:
    tokens: Tokens = api.login(alice.email).data
    post_round()
    return tokens


def delete(api: Api, tokens: Tokens) -> Answer:
    return api.delete(f"{V1}/users/me", token=tokens["accessToken"])


def restore(api: Api, token: str) -> Answer:
    return api.post(f"{V1}/auth/restore", {"token": token})


def link_after_deletion(api: Api, tokens: Tokens) -> str:
    assert delete(api, tokens).status == HTTPStatus.ACCEPTED
    (letter,) = post_round()
    return letter.token


def due(user: User, *, in_: timedelta) -> None:
    assert ErasureRequest.objects.filter(user=user).update(due_at=timezone.now() + in_) == 1


def test_it_signs_out_everywhere_at_once_and_mails_the_way_back(api: Api, alice: User, hers: Tokens) -> None:
    elsewhere = api.login(alice.email).data
    post_round()

    answer = delete(api, hers)

    assert (answer.status, answer.data) == (HTTPStatus.ACCEPTED, None)
    assert events()[-2:] == ["session.all_ended", "account.erasure.requested"]
    for tokens in (hers, elsewhere):
        assert refused(api.me(tokens["accessToken"])) == "invalid_token"
        assert refused(api.refresh(tokens["refreshToken"])) == "invalid_token"
        assert row(tokens)["end_reason"] == "deleted"
    fresh = User.objects.get(pk=alice.pk)
    assert fresh.is_active is False
    assert fresh.stamp != alice.stamp
    request = ErasureRequest.objects.get(user=alice)
    assert request.due_at - request.requested_at == settings.DELETION_GRACE == timedelta(days=30)
    assert mails()[-1] == ("deletion_scheduled", alice.email)
    (letter,) = post_round()
    assert f"/restore#token={letter.token}" in letter.text
    assert f"{request.due_at:%Y-%m-%d %H:%M} UTC" in letter.text


def test_it_takes_a_fresh_proof(api: Api, alice: User, hers: Tokens) -> None:
    change(hers, authenticated_at=timezone.now() - settings.STEP_UP - SECOND)
    before = stored()

    answer = delete(api, hers)

    assert (answer.status, answer.codes) == (HTTPStatus.FORBIDDEN, ["reauthentication_required"])
    assert stored() == before
    api.post(f"{V1}/auth/reauthenticate", {"password": PASSWORD}, token=hers["accessToken"])
    assert delete(api, hers).status == HTTPStatus.ACCEPTED


def test_a_change_of_the_same_moment_wins_over_the_deletion(alice: User) -> None:
    stale = User.objects.get(pk=alice.pk)
    User.objects.filter(pk=alice.pk).update(stamp=uuid4())

    with pytest.raises(InvalidToken):
        lifecycle.request_erasure(user=stale, origin=OPERATOR)

    assert User.objects.get().is_active
    assert not ErasureRequest.objects.exists()


def test_asked_twice_it_waits_once_from_the_first_time(alice: User) -> None:
    lifecycle.request_erasure(user=alice, origin=OPERATOR)
    before = stored()

    lifecycle.request_erasure(user=alice, origin=OPERATOR)

    assert stored() == before


def test_while_it_waits_nobody_signs_in_and_the_answer_is_as_for_no_account(
    api: Api, alice: User, hers: Tokens
) -> None:
    delete(api, hers)

    pending, nobody = api.login(alice.email), api.login("nobody@example.org")

    assert pending.status == HTTPStatus.UNAUTHORIZED
    assert spoken(pending) == spoken(nobody)


def test_while_it_waits_the_address_is_taken(api: Api, alice: User, hers: Tokens) -> None:
    delete(api, hers)

    answer = api.register(alice.email, OTHER_PASSWORD)

    assert answer.status == HTTPStatus.CREATED
    assert answer.data["id"] != str(alice.pk)
    assert User.objects.get().password == alice.password
    assert events()[-1] == "account.registration.refused"


@pytest.mark.parametrize("path", ["auth/password/forgot", "auth/magic-link", "auth/verify-email/resend"])
def test_while_it_waits_no_link_is_mailed(api: Api, alice: User, hers: Tokens, path: str) -> None:
    delete(api, hers)
    before = mails()

    answer = api.post(f"{V1}/{path}", {"email": alice.email})

    assert answer.status == HTTPStatus.ACCEPTED
    assert mails() == before


def test_the_link_brings_the_account_back_and_none_of_its_sessions(api: Api, alice: User, hers: Tokens) -> None:
    token = link_after_deletion(api, hers)

    answer = restore(api, token)

    assert (answer.status, answer.data) == (HTTPStatus.OK, None)
    assert answer.body["message"]
    assert not ErasureRequest.objects.exists()
    assert refused(api.me(hers["accessToken"])) == "invalid_token"
    assert refused(api.refresh(hers["refreshToken"])) == "invalid_token"
    assert api.me(api.login(alice.email).data["accessToken"]).data["id"] == str(alice.pk)
    assert mails()[-1][0] in {"account_restored", "new_device"}
    assert ("account_restored", alice.email) in mails()
    assert events().count("account.restored") == 1


def test_the_link_works_once(api: Api, alice: User, hers: Tokens) -> None:
    token = link_after_deletion(api, hers)
    restore(api, token)
    before = stored()

    answer = restore(api, token)

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"token": "invalid_token"})
    assert stored() == before


def test_the_link_of_an_earlier_deletion_restores_nothing(api: Api, alice: User, hers: Tokens) -> None:
    first = link_after_deletion(api, hers)
    lifecycle.activate(user_id=alice.pk, origin=OPERATOR)
    second = link_after_deletion(api, api.login(alice.email, deviceToken=hers["deviceToken"]).data)

    assert restore(api, first).codes == ["invalid_token"]
    assert not User.objects.get().is_active
    assert restore(api, second).status == HTTPStatus.OK


def test_looking_at_the_link_changes_nothing(api: Api, alice: User, hers: Tokens) -> None:
    token = link_after_deletion(api, hers)
    before = stored()

    assert lifecycle.peek_restore(token=token) == alice

    assert stored() == before


@pytest.mark.parametrize("token", ["", "x", "q3xk0JQnJpmJ2d0Yl7yN0m1sZc8n5vXw4bT6uR9eKfA"])
def test_what_is_no_link_restores_nothing(api: Api, alice: User, hers: Tokens, token: str) -> None:
    delete(api, hers)

    answer = restore(api, token)

    assert answer.status == HTTPStatus.BAD_REQUEST
    assert not User.objects.get().is_active


def test_when_the_time_is_over_nothing_brings_the_account_back_though_no_job_ran(
    api: Api, alice: User, hers: Tokens
) -> None:
    token = link_after_deletion(api, hers)
    due(alice, in_=-SECOND)
    before = stored()

    assert restore(api, token).codes == ["invalid_token"]
    assert lifecycle.activate(user_id=alice.pk, origin=OPERATOR) is False
    with pytest.raises(InvalidLink):
        lifecycle.peek_restore(token=token)

    assert stored() == before


def test_the_link_lives_as_long_as_the_waiting_time(api: Api, alice: User, hers: Tokens) -> None:
    token = link_after_deletion(api, hers)
    link = OneTimeToken.objects.get(purpose=Purpose.RESTORE)
    link.mail.sent_at = timezone.now() - settings.DELETION_GRACE + timedelta(minutes=1)
    link.mail.save(update_fields=["sent_at"])

    assert restore(api, token).status == HTTPStatus.OK


def test_staff_may_restore(api: Api, alice: User, hers: Tokens) -> None:
    token = link_after_deletion(api, hers)

    assert lifecycle.activate(user_id=alice.pk, origin=OPERATOR) is True

    assert not ErasureRequest.objects.exists()
    assert api.login(alice.email).status == HTTPStatus.OK
    assert restore(api, token).codes == ["invalid_token"]
    assert Event.objects.get(action="account.activated").metadata == {"deletionLifted": True}


def test_staff_may_close_the_way_back(api: Api, alice: User, hers: Tokens) -> None:
    token = link_after_deletion(api, hers)

    assert [lifecycle.deactivate(user_id=alice.pk, origin=OPERATOR) for _ in range(2)] == [True, False]

    assert restore(api, token).codes == ["invalid_token"]
    assert ErasureRequest.objects.filter(user=alice).exists()
    assert not User.objects.get().is_active


def test_an_account_that_staff_switched_off_has_no_deletion_to_lift(alice: User) -> None:
    lifecycle.deactivate(user_id=alice.pk, origin=OPERATOR)

    assert lifecycle.lift_erasure(User.objects.get()) is False

    assert not User.objects.get().is_active


@pytest.mark.parametrize("path", ["users/me", "users/me/export"])
def test_strangers_have_nothing_to_delete_or_export(api: Api, path: str) -> None:
    call = api.delete if path == "users/me" else api.get

    assert call(f"{V1}/{path}").codes == ["not_authenticated"]


class TestWhatEndsWithTheAccount:
    """Everything that could get somebody in, after switching off and after deletion (C4)."""

    LINKS = {
        Purpose.RESET_PASSWORD: ("auth/password/reset", {"newPassword": OTHER_PASSWORD}),
        Purpose.CONFIRM_EMAIL: ("auth/email/confirm", {}),
        Purpose.MAGIC_LINK: ("auth/magic-link/verify", {}),
        Purpose.VERIFY_EMAIL: ("auth/verify-email", {}),
        Purpose.NOT_ME: ("auth/not-me", {}),
    }

    @pytest.mark.parametrize("way", ["deactivated", "deleted", "due", "erased"])
    @pytest.mark.parametrize("purpose", LINKS)
    def test_a_link_that_was_mailed_before_is_refused(self, api: Api, purpose: Purpose, way: str) -> None:
        ada = enrol("ada@example.org", name="Ada")
        outlives = purpose is Purpose.NOT_ME
        token = crypto.new_token()
        to = "ada.new@example.org" if purpose is Purpose.CONFIRM_EMAIL else ada.email
        mail = enqueue(template="accounts/email/verify_email", to=to, language="en", context={"name": "Ada"})
        one_time.register(
            token=token,
            purpose=purpose,
            user=ada,
            mail=mail,
            lifetime=timedelta(hours=1),
            outlives_changes=outlives,
        )
        tokens = api.login(ada.email).data
        leave(ada, way)
        before = {name: rows for name, rows in stored().items() if name != "audit.Event"}

        path, more = self.LINKS[purpose]
        answer = api.post(f"{V1}/{path}", {"token": token, **more})

        assert (answer.status, answer.codes) == (HTTPStatus.BAD_REQUEST, ["invalid_token"])
        assert refused(api.me(tokens["accessToken"])) == "invalid_token"
        assert refused(api.refresh(tokens["refreshToken"])) == "invalid_token"
        assert refused(api.login(ada.email)) == "invalid_credentials"
        assert {name: rows for name, rows in stored().items() if name != "audit.Event"} == before


def leave(user: User, way: str) -> None:
    if way == "deactivated":
        lifecycle.deactivate(user_id=user.pk, origin=OPERATOR)
        return
    lifecycle.request_erasure(user=User.objects.get(pk=user.pk), origin=OPERATOR)
    if way == "due":
        due(user, in_=-SECOND)
    if way == "erased":
        lifecycle.erase(user_id=user.pk, origin=OPERATOR)

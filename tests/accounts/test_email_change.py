"""Another address: asked for, confirmed from the new mailbox, undone from the old one."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import selectors
from accounts.models import ErasureRequest, User
from accounts.services import email_change, lifecycle
from audit.models import Event
from audit.origin import Origin
from authsvc.mail.models import MailState, OutgoingMail
from authsvc.tokens.models import KnownDevice, OneTimeToken, Purpose, Session
from authsvc.tokens.services.access import InvalidToken
from config.values import Rate
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Answer, Api, Letter, enrol, post_round
from tests.ledger import events, mails, spoken, stored
from tests.lineage import Tokens, change, refused

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ALICE, NEW, NEWER = "alice@example.org", "alice.king@example.org", "alice.queen@example.org"
CONFIRM, UNDO, ASK = f"{V1}/auth/email/confirm", f"{V1}/auth/email/undo", f"{V1}/users/me/email"
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
INVALID = (HTTPStatus.BAD_REQUEST, {"token": "invalid_token"})
ORIGIN = Origin(ip="192.0.2.7", user_agent="tests", request_id="", actor_id=None)


@pytest.fixture
def hers(api: Api, alice: User) -> Tokens:
    """Alice signed in on one device."""
    tokens: Tokens = api.login(alice.email).data
    post_round()
    return tokens


def ask(api: Api, tokens: Tokens, address: str = NEW, **headers: str) -> Answer:
    return api.post(ASK, {"newEmail": address}, token=tokens["accessToken"], **headers)


def asked(api: Api, tokens: Tokens, address: str = NEW) -> tuple[Letter, Letter]:
    """Ask for an address; return the two mails: the link, and the notice with its undo."""
    post_round()
    assert ask(api, tokens, address).status == HTTPStatus.ACCEPTED
    link, notice = post_round()
    return link, notice


def changed(api: Api, tokens: Tokens, address: str = NEW) -> str:
    """Change the address; return the token of the undo."""
    link, notice = asked(api, tokens, address)
    assert confirm(api, link.token).status == HTTPStatus.OK
    return notice.token


def told() -> list[tuple[str, str]]:
    """Template and recipient of everything in the outbox, but for the mails about sign-ins."""
    return [mail for mail in mails() if mail[0] != "new_device"]


def confirm(api: Api, token: str) -> Answer:
    return api.post(CONFIRM, {"token": token})


def undo(api: Api, token: str) -> Answer:
    return api.post(UNDO, {"token": token})


def verdict(answer: Answer) -> tuple[HTTPStatus, dict[str | None, str]]:
    return answer.status, answer.problems


def sent(purpose: Purpose, ago: timedelta) -> None:
    tokens = OneTimeToken.objects.filter(purpose=purpose)
    OutgoingMail.objects.filter(pk__in=tokens.values("mail")).update(sent_at=timezone.now() - ago)


def fresh(user: User) -> User:
    return User.objects.get(pk=user.pk)


def signs_in(api: Api, *addresses: str, password: str = PASSWORD) -> list[bool]:
    return [api.login(address, password).status == HTTPStatus.OK for address in addresses]


def leave(api: Api, address: str) -> None:
    """Ask for the deletion of an account."""
    answer = api.delete(f"{V1}/users/me", token=api.login(address).data["accessToken"])
    assert answer.status == HTTPStatus.ACCEPTED


def is_over(api: Api, tokens: Tokens) -> bool:
    """Whether neither token of a session is good for anything."""
    answers = [api.me(tokens["accessToken"]), api.refresh(tokens["refreshToken"])]
    return [refused(answer) for answer in answers if answer.status != HTTPStatus.OK] == ["invalid_token"] * 2


class TestAsking:
    """A request changes nothing: it mails a link to the new address and a notice to the old one."""

    def test_a_link_goes_to_the_new_address_and_a_notice_with_an_undo_to_the_old_one(
        self, api: Api, alice: User, hers: Tokens
    ) -> None:
        before = User.objects.values().get()

        answer = ask(api, hers)
        link, notice = post_round()

        assert (answer.status, answer.data) == (HTTPStatus.ACCEPTED, None)
        assert told() == [("confirm_email", NEW), ("email_change_notice", ALICE)]
        assert (link.to, notice.to) == (NEW, ALICE)
        assert f"http://127.0.0.1:8000/confirm-email#token={link.token}" in link.text
        assert f"http://127.0.0.1:8000/undo-email-change#token={notice.token}" in notice.text
        assert ALICE not in link.text + link.html
        assert NEW in notice.text
        assert NEW in notice.html
        assert User.objects.values().get() == before
        event = Event.objects.latest("id")
        assert (event.action, event.subject, event.actor) == (
            "account.email.change_requested", alice.audit_key, alice.audit_key,
        )  # fmt: skip

    def test_until_it_is_confirmed_the_old_address_signs_in_and_the_new_one_does_not(
        self, api: Api, hers: Tokens
    ) -> None:
        asked(api, hers)

        assert signs_in(api, ALICE, NEW) == [True, False]
        assert api.me(hers["accessToken"]).data["email"] == ALICE

    def test_it_takes_a_fresh_proof_of_identity(self, api: Api, hers: Tokens, settings: Settings) -> None:
        change(hers, authenticated_at=timezone.now() - settings.STEP_UP - SECOND)
        before = stored()

        answer = ask(api, hers)

        assert (answer.status, answer.codes) == (HTTPStatus.FORBIDDEN, ["reauthentication_required"])
        assert stored() == before

    @pytest.mark.parametrize(
        ("body", "problems"),
        [
            ({}, {"newEmail": "required"}),
            ({"newEmail": None}, {"newEmail": "invalid_type"}),
            ({"newEmail": [NEW]}, {"newEmail": "invalid_type"}),
            ({"newEmail": {"$ne": ""}}, {"newEmail": "invalid_type"}),
            ({"newEmail": NEW, "email": NEW}, {"email": "unknown_field"}),
            ({"newEmail": NEW, "isVerified": True}, {"isVerified": "unknown_field"}),
            ({"newEmail": NEW, "userId": "019a3c5e-7b5d-7c3e-9a51-6f1d2c3b4a59"}, {"userId": "unknown_field"}),
            ({"newEmail": f"{'a' * 250}@example.org"}, {"newEmail": "too_long"}),
        ],
    )
    def test_nothing_but_one_address_is_taken(
        self, api: Api, hers: Tokens, body: dict[str, object], problems: dict[str | None, str]
    ) -> None:
        before = stored()

        answer = api.post(ASK, body, token=hers["accessToken"])

        assert verdict(answer) == (HTTPStatus.BAD_REQUEST, problems)
        assert stored() == before

    def test_what_is_no_plain_address_is_refused_and_mails_nobody(
        self, subtests: pytest.Subtests, api: Api, bob: User, hers: Tokens
    ) -> None:
        for address in [
            "bob\uff20example.org",
            "bob\ufe6bexample.org",
            "b\uff4fb@example.org",
            "bo\u0299@example.org",
            "alice@example.org,bob@example.org",
            "Bob <bob@example.org>",
            '"bob"@example.org',
            '"a@b"@example.org',
            "bob@localhost",
            "bob@[127.0.0.1]",
            "bob@example.org\nBcc: eve@example.org",
            f"{'a' * 65}@example.org",
        ]:
            with subtests.test(address=address):
                before = stored()

                answer = ask(api, hers, address)

                assert verdict(answer) == (HTTPStatus.BAD_REQUEST, {"newEmail": "invalid_format"})
                assert stored() == before

    def test_profile_changes_cannot_touch_the_address_or_its_proof(self, api: Api, alice: User, hers: Tokens) -> None:
        before = User.objects.values().get()

        for name, value in {"email": NEW, "newEmail": NEW, "isVerified": True, "emailVerified": True}.items():
            answer = api.patch(f"{V1}/users/me", {name: value}, token=hers["accessToken"])
            assert verdict(answer) == (HTTPStatus.BAD_REQUEST, {name: "unknown_field"})

        assert User.objects.values().get() == before

    @pytest.mark.parametrize("own", [ALICE, "ALICE@example.org", " Alice@EXAMPLE.org "])
    def test_asking_for_one_s_own_address_answers_the_same_and_takes_back_what_is_pending(
        self, api: Api, hers: Tokens, own: str
    ) -> None:
        link, _notice = asked(api, hers)

        answer = ask(api, hers, own)

        assert spoken(answer) == spoken(ask(api, hers))
        assert told() == [("confirm_email", NEW), ("email_change_notice", ALICE)] * 2
        assert verdict(confirm(api, link.token)) == INVALID

    def test_an_international_domain_has_one_spelling(self, api: Api) -> None:
        enrol("ada@xn--bcher-kva.example")
        tokens = api.login("ada@xn--bcher-kva.example").data

        assert ask(api, tokens, "ada@B\u00dcCHER.example").status == HTTPStatus.ACCEPTED
        assert told() == []

    def test_a_repeated_key_mails_once(self, api: Api, hers: Tokens) -> None:
        first, second = (ask(api, hers, idempotency_key="change-1") for _ in range(2))

        assert spoken(first) == spoken(second)
        assert told() == [("confirm_email", NEW), ("email_change_notice", ALICE)]

    def test_a_session_that_ends_in_the_same_moment_starts_no_change(self, alice: User, hers: Tokens) -> None:
        session = Session.objects.select_related("user").get(pk=hers["session"]["id"])
        User.objects.update(stamp=uuid4())
        before = stored()

        with pytest.raises(InvalidToken):
            email_change.request(user=session.user, session=session, new_email=NEW, origin=ORIGIN)

        assert stored() == before


class TestOnlyTheNewest:
    """Of several requests the last one counts."""

    def test_a_newer_request_voids_the_older_link(self, api: Api, alice: User, hers: Tokens) -> None:
        older, _notice = asked(api, hers, NEW)
        newer, _notice = asked(api, hers, NEWER)

        assert verdict(confirm(api, older.token)) == INVALID
        assert fresh(alice).email == ALICE
        assert confirm(api, newer.token).status == HTTPStatus.OK
        assert fresh(alice).email == NEWER

    def test_a_newer_request_for_the_same_address_voids_the_older_link(self, api: Api, hers: Tokens) -> None:
        older, _notice = asked(api, hers)
        newer, _notice = asked(api, hers)

        assert verdict(confirm(api, older.token)) == INVALID
        assert confirm(api, newer.token).status == HTTPStatus.OK

    def test_beyond_the_limit_no_link_goes_out_and_the_last_one_stays_good(
        self, api: Api, hers: Tokens, settings: Settings
    ) -> None:
        settings.LIMIT_MAIL = Rate(2, 3600)

        answers = [ask(api, hers) for _ in range(4)]
        letters = post_round()

        assert len({repr(spoken(answer)) for answer in answers}) == 1
        assert [letter.to for letter in letters].count(NEW) == 2
        assert [letter.to for letter in letters].count(ALICE) == 4
        links = [letter.token for letter in letters if letter.to == NEW]
        assert [confirm(api, token).status == HTTPStatus.OK for token in links] == [False, True]

    def test_one_address_gets_no_more_links_from_many_accounts(self, api: Api, settings: Settings) -> None:
        for number in range(settings.LIMIT_MAIL.count + 2):
            email = f"mallory{number}@example.org"
            enrol(email)
            ask(api, api.login(email).data)

        assert told().count(("confirm_email", NEW)) == settings.LIMIT_MAIL.count

    @pytest.mark.parametrize("taken", [True, False])
    def test_whether_an_earlier_link_still_works_does_not_tell_if_the_later_address_is_taken(
        self, api: Api, bob: User, hers: Tokens, *, taken: bool, settings: Settings
    ) -> None:
        settings.LIMIT_MAIL = Rate(1, 3600)
        later = bob.email if taken else "free@example.org"
        ask(api, hers, later)
        post_round()
        link, _notice = asked(api, hers)

        ask(api, hers, later)

        assert verdict(confirm(api, link.token)) == INVALID


class TestTaken:
    """Nothing that the caller can see tells whether an address is somebody's."""

    STATES = ("free", "verified", "inactive", "unverified", "held")

    def state(self, api: Api, name: str) -> str:
        email = f"{name}@example.org"
        if name == "held":
            enrol(email)
            changed(api, api.login(email).data, "moved@example.org")
        elif name != "free":
            enrol(email, is_active=name != "inactive", verified_at=None if name == "unverified" else timezone.now())
        return email

    def test_every_answer_and_every_notice_is_the_same(self, api: Api, hers: Tokens) -> None:
        heard = {}
        for name in self.STATES:
            address = self.state(api, name)
            answer = ask(api, hers, address)
            notice = next(letter for letter in post_round() if letter.to == ALICE)
            heard[name] = spoken(answer), notice.text.replace(address, "*").replace(notice.token, "*"), notice.subject

        assert heard == dict.fromkeys(heard, heard["free"])

    def test_every_state_costs_the_same_statements(self, api: Api, hers: Tokens) -> None:
        cost = {}
        for name in self.STATES:
            address = self.state(api, name)
            with statements() as seen:
                ask(api, hers, address)
            cost[name] = Counter(sql for sql in seen if "tokens_signingkey" not in sql)

        assert cost == dict.fromkeys(cost, cost["free"])
        assert cost["free"].total() > 10

    @pytest.mark.parametrize(
        ("name", "template"),
        [
            ("free", "confirm_email"),
            ("verified", "already_registered"),
            ("inactive", "already_registered"),
            ("unverified", "confirm_email"),
            ("held", "already_registered"),
        ],
    )
    def test_what_goes_to_the_address_tells_its_owner(self, api: Api, hers: Tokens, name: str, template: str) -> None:
        address = self.state(api, name)
        before = len(told())

        ask(api, hers, address)

        assert told()[before:] == [(template, address), ("email_change_notice", ALICE)]

    def test_the_owner_of_a_taken_address_is_mailed_within_the_limit(
        self, api: Api, bob: User, hers: Tokens, settings: Settings
    ) -> None:
        for _ in range(settings.LIMIT_MAIL.count + 2):
            ask(api, hers, bob.email)

        assert told().count(("already_registered", bob.email)) == settings.LIMIT_MAIL.count
        assert told().count(("email_change_notice", ALICE)) == settings.LIMIT_MAIL.count + 2

    def test_the_log_of_who_asks_does_not_tell_it_either(self, api: Api, alice: User, bob: User, hers: Tokens) -> None:
        ask(api, hers, bob.email)
        ask(api, hers, "free@example.org")

        own = Event.objects.filter(action__startswith="account.email")
        assert [event.action for event in own if alice.audit_key in {event.actor, event.subject}] == [
            "account.email.change_requested"
        ] * 2
        refusal = own.get(action="account.email.change_refused")
        assert (refusal.subject, refusal.actor, refusal.outcome) == (bob.audit_key, None, "refused")

    @pytest.mark.parametrize("variant", ["bob@example.org", "BOB@example.org", "Bob@Example.Org", " bob@example.org"])
    def test_asking_for_somebody_s_address_in_any_case_leaves_them_alone(
        self, api: Api, alice: User, bob: User, hers: Tokens, variant: str
    ) -> None:
        before = User.objects.values().get(pk=bob.pk)

        ask(api, hers, variant)

        assert User.objects.values().get(pk=bob.pk) == before
        assert OneTimeToken.objects.filter(purpose=Purpose.CONFIRM_EMAIL).count() == 0
        assert fresh(alice).email == ALICE
        assert signs_in(api, bob.email) == [True]

    def test_an_address_that_somebody_got_meanwhile_is_theirs(self, api: Api, alice: User, hers: Tokens) -> None:
        link, _notice = asked(api, hers)
        bob = enrol(NEW)

        answer = confirm(api, link.token)

        assert verdict(answer) == INVALID
        assert (fresh(alice).email, fresh(bob).email) == (ALICE, NEW)
        assert not is_over(api, hers)
        assert events()[-1] == "account.email.change_refused" or "account.email.change_refused" in events()
        assert "account.email.changed" not in events()

    def test_whoever_is_due_to_be_erased_counts_as_gone(self, api: Api, alice: User, bob: User, hers: Tokens) -> None:
        User.objects.filter(pk=bob.pk).update(email=NEW, is_active=False)
        ErasureRequest.objects.create(user=bob, due_at=timezone.now())
        link, _notice = asked(api, hers)

        assert confirm(api, link.token).status == HTTPStatus.OK
        assert User.objects.get().pk == alice.pk
        assert fresh(alice).email == NEW

    @pytest.mark.parametrize("before_asking", [True, False])
    def test_whoever_only_registered_the_address_gives_way_to_whom_the_mailbox_is(
        self, api: Api, alice: User, hers: Tokens, *, before_asking: bool
    ) -> None:
        if before_asking:
            api.register(NEW, OTHER_PASSWORD)
            stale = post_round()[0].token
        link, _notice = asked(api, hers)
        if not before_asking:
            api.register(NEW, OTHER_PASSWORD)
            stale = post_round()[0].token

        answer = confirm(api, link.token)

        assert answer.status == HTTPStatus.OK
        assert User.objects.get(email=NEW).pk == alice.pk
        assert verdict(api.verify(stale)) == INVALID
        assert signs_in(api, NEW) == [True]
        assert signs_in(api, NEW, password=OTHER_PASSWORD) == [False]
        assert "account.registration.dropped" in events()


class TestConfirming:
    """The link proves the new mailbox, and ends everything that the account had issued."""

    def test_it_changes_the_address_and_ends_every_session(self, api: Api, alice: User, hers: Tokens) -> None:
        elsewhere = api.login(ALICE).data
        link, _notice = asked(api, hers)

        answer = confirm(api, link.token)

        after = fresh(alice)
        assert (answer.status, answer.data) == (HTTPStatus.OK, None)
        assert (after.email, after.password, after.verified_at) == (NEW, fresh(alice).password, alice.verified_at)
        assert after.stamp != alice.stamp
        assert is_over(api, hers)
        assert is_over(api, elsewhere)
        assert signs_in(api, ALICE, NEW) == [False, True]
        assert set(Session.objects.exclude(ended_at=None).values_list("end_reason", flat=True)) == {"email"}
        event = Event.objects.get(action="account.email.changed")
        assert (event.subject, event.actor, event.metadata) == (alice.audit_key, None, {})

    def test_it_works_once(self, api: Api, hers: Tokens) -> None:
        link, _notice = asked(api, hers)
        confirm(api, link.token)
        before = stored()

        assert verdict(confirm(api, link.token)) == INVALID
        assert stored() == before

    def test_it_signs_nobody_in(self, api: Api, hers: Tokens) -> None:
        link, _notice = asked(api, hers)

        answer = confirm(api, link.token)

        assert Session.objects.live().count() == 0
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"

    def test_every_link_of_before_is_over(self, api: Api, alice: User, hers: Tokens) -> None:
        api.post(f"{V1}/auth/password/forgot", {"email": ALICE})
        reset = post_round()[-1]
        changed(api, hers)

        answer = api.post(f"{V1}/auth/password/reset", {"token": reset.token, "newPassword": OTHER_PASSWORD})

        assert verdict(answer) == INVALID
        assert signs_in(api, NEW) == [True]

    def test_an_old_verification_link_is_over(self, api: Api) -> None:
        api.register(ALICE)
        verification = post_round()[0].token
        api.verify(verification)
        changed(api, api.login(ALICE).data)

        assert verdict(api.verify(verification)) == INVALID

    def test_it_lives_for_24_hours_from_the_sending(self, api: Api, hers: Tokens) -> None:
        link, _notice = asked(api, hers)
        sent(Purpose.CONFIRM_EMAIL, ago=24 * HOUR + SECOND)
        before = stored()

        assert verdict(confirm(api, link.token)) == INVALID
        assert stored() == before

        sent(Purpose.CONFIRM_EMAIL, ago=24 * HOUR - 5 * SECOND)
        assert confirm(api, link.token).status == HTTPStatus.OK

    @pytest.mark.parametrize("change", [{"stamp": uuid4()}, {"email": "other@example.org", "stamp": uuid4()}])
    def test_it_is_for_the_account_as_it_was(
        self, api: Api, alice: User, hers: Tokens, change: dict[str, object]
    ) -> None:
        link, _notice = asked(api, hers)
        User.objects.filter(pk=alice.pk).update(**change)
        before = stored()

        assert verdict(confirm(api, link.token)) == INVALID
        assert stored() == before

    def test_a_deactivated_account_stays_as_it_is(self, api: Api, alice: User, hers: Tokens) -> None:
        link, _notice = asked(api, hers)
        lifecycle.deactivate(user_id=alice.pk, origin=ORIGIN)

        assert verdict(confirm(api, link.token)) == INVALID
        assert fresh(alice).email == ALICE

    def test_looking_at_a_link_changes_nothing(self, api: Api, alice: User, hers: Tokens) -> None:
        link, notice = asked(api, hers)
        before = stored()

        assert email_change.peek_confirmation(token=link.token) == (alice, NEW)
        assert email_change.peek_undo(token=notice.token) == (alice, ALICE)
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"):
            for path in (f"{CONFIRM}?token={link.token}", f"{UNDO}?token={notice.token}"):
                assert api.raw(method, path).status == HTTPStatus.METHOD_NOT_ALLOWED
        assert stored() == before

    @pytest.mark.parametrize("path", [CONFIRM, UNDO])
    def test_a_token_of_another_purpose_is_none(self, api: Api, hers: Tokens, path: str) -> None:
        link, notice = asked(api, hers)
        wrong = notice.token if path == CONFIRM else link.token
        before = stored()

        for token in (wrong, "x", link.token[:-1], hers["accessToken"]):
            assert verdict(api.post(path, {"token": token})) == INVALID
        assert stored() == before


class TestUndoing:
    """Whoever reads the old mailbox gets the account back, whatever became of it."""

    def test_it_restores_the_address_and_shuts_everybody_out(self, api: Api, alice: User, hers: Tokens) -> None:
        token = changed(api, hers)
        thief = api.login(NEW).data
        assert KnownDevice.objects.filter(user=alice).exists()

        answer = undo(api, token)

        after = fresh(alice)
        assert (answer.status, answer.data) == (HTTPStatus.OK, None)
        assert (after.email, after.is_active, after.has_usable_password()) == (ALICE, True, False)
        assert is_over(api, hers)
        assert is_over(api, thief)
        assert not KnownDevice.objects.filter(user=alice).exists()
        assert signs_in(api, ALICE, NEW) == [False, False]
        event = Event.objects.get(action="account.email.change_undone")
        assert (event.subject, event.actor, event.metadata) == (alice.audit_key, None, {"deletionLifted": False})

    def test_the_password_counts_again_once_it_is_reset(self, api: Api, hers: Tokens) -> None:
        undo(api, changed(api, hers))

        api.post(f"{V1}/auth/password/forgot", {"email": ALICE})
        reset = post_round()[-1]
        api.post(f"{V1}/auth/password/reset", {"token": reset.token, "newPassword": OTHER_PASSWORD})

        assert reset.to == ALICE
        assert signs_in(api, ALICE, password=OTHER_PASSWORD) == [True]
        assert signs_in(api, ALICE, password=PASSWORD) == [False]

    def test_before_the_confirmation_it_voids_the_link_and_does_the_rest_as_well(
        self, api: Api, alice: User, hers: Tokens
    ) -> None:
        link, notice = asked(api, hers)

        assert undo(api, notice.token).status == HTTPStatus.OK

        assert verdict(confirm(api, link.token)) == INVALID
        assert fresh(alice).email == ALICE
        assert not fresh(alice).has_usable_password()
        assert not KnownDevice.objects.filter(user=alice).exists()
        assert is_over(api, hers)

    def test_it_works_once(self, api: Api, hers: Tokens) -> None:
        token = changed(api, hers)
        undo(api, token)
        before = stored()

        assert verdict(undo(api, token)) == INVALID
        assert stored() == before

    def test_it_lives_for_72_hours_from_the_sending(self, api: Api, hers: Tokens) -> None:
        token = changed(api, hers)
        sent(Purpose.UNDO_EMAIL, ago=72 * HOUR + SECOND)
        before = stored()

        assert verdict(undo(api, token)) == INVALID
        assert stored() == before

        sent(Purpose.UNDO_EMAIL, ago=72 * HOUR - 5 * SECOND)
        assert undo(api, token).status == HTTPStatus.OK

    def test_no_change_of_stamp_password_or_address_voids_it(self, api: Api, alice: User, hers: Tokens) -> None:
        token = changed(api, hers, NEW)
        changed(api, api.login(NEW).data, NEWER)
        api.post(
            f"{V1}/auth/password/change",
            {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD},
            token=api.login(NEWER).data["accessToken"],
        )
        User.objects.filter(pk=alice.pk).update(stamp=uuid4())

        assert undo(api, token).status == HTTPStatus.OK
        assert fresh(alice).email == ALICE
        assert signs_in(api, ALICE, NEW, NEWER, password=OTHER_PASSWORD) == [False] * 3

    def test_it_voids_the_undos_that_were_made_later(self, api: Api, alice: User, hers: Tokens) -> None:
        first = changed(api, hers, NEW)
        second = changed(api, api.login(NEW).data, NEWER)

        undo(api, first)

        assert verdict(undo(api, second)) == INVALID
        assert fresh(alice).email == ALICE

    def test_an_earlier_undo_stays_good(self, api: Api, alice: User, hers: Tokens) -> None:
        first = changed(api, hers, NEW)
        second = changed(api, api.login(NEW).data, NEWER)

        assert undo(api, second).status == HTTPStatus.OK
        assert fresh(alice).email == NEW
        assert undo(api, first).status == HTTPStatus.OK
        assert fresh(alice).email == ALICE

    def test_it_leaves_no_link_of_any_purpose(self, api: Api, alice: User, bob: User, hers: Tokens) -> None:
        token = changed(api, hers)
        made = OneTimeToken.objects.get(purpose=Purpose.UNDO_EMAIL)
        for number, purpose in enumerate(Purpose):
            for user in (alice, bob):
                made.pk, made.digest = uuid4(), bytes([number]) * 31 + user.email[:1].encode()
                made.purpose, made.user, made.created_at = purpose, user, timezone.now()
                made.save(force_insert=True)

        undo(api, token)

        open_rows = OneTimeToken.objects.filter(consumed_at__isnull=True)
        assert open_rows.filter(user=alice).count() == 0
        assert open_rows.filter(user=bob).count() == len(Purpose)

    def test_it_lifts_a_deletion_that_was_asked_for_since(
        self, api: Api, alice: User, hers: Tokens, settings: Settings
    ) -> None:
        token = changed(api, hers)
        leave(api, NEW)
        assert not fresh(alice).is_active

        assert undo(api, token).status == HTTPStatus.OK

        assert (fresh(alice).is_active, fresh(alice).email) == (True, ALICE)
        assert not ErasureRequest.objects.exists()
        assert Event.objects.get(action="account.email.change_undone").metadata == {"deletionLifted": True}

    def test_what_staff_switched_off_besides_stays_off_and_is_not_deleted(
        self, api: Api, alice: User, hers: Tokens
    ) -> None:
        token = changed(api, hers)
        leave(api, NEW)
        lifecycle.deactivate(user_id=alice.pk, origin=ORIGIN)

        assert undo(api, token).status == HTTPStatus.OK

        assert (fresh(alice).is_active, fresh(alice).email) == (False, ALICE)
        assert not ErasureRequest.objects.exists()

    def test_a_deletion_that_is_due_is_not_lifted(self, api: Api, hers: Tokens) -> None:
        token = changed(api, hers)
        leave(api, NEW)
        ErasureRequest.objects.update(due_at=timezone.now())
        before = stored()

        assert verdict(undo(api, token)) == INVALID
        assert stored() == before

    def test_what_staff_switched_off_stays_off(self, api: Api, alice: User, hers: Tokens) -> None:
        token = changed(api, hers)
        lifecycle.deactivate(user_id=alice.pk, origin=ORIGIN)

        assert undo(api, token).status == HTTPStatus.OK

        assert (fresh(alice).is_active, fresh(alice).email) == (False, ALICE)
        assert signs_in(api, ALICE) == [False]

    def test_others_are_left_alone(self, api: Api, bob: User, hers: Tokens) -> None:
        his = api.login(bob.email).data
        before = User.objects.values().get(pk=bob.pk)

        undo(api, changed(api, hers))

        assert User.objects.values().get(pk=bob.pk) == before
        assert api.me(his["accessToken"]).status == HTTPStatus.OK
        assert KnownDevice.objects.filter(user=bob).count() == 1


class TestHeld:
    """For 72 hours the former address answers as taken."""

    def register(self, api: Api) -> Answer:
        return api.register(ALICE, OTHER_PASSWORD, name="Mallory")

    def test_registering_it_answers_as_ever_and_opens_nothing(self, api: Api, alice: User, hers: Tokens) -> None:
        unknown = api.register("carol@example.org", OTHER_PASSWORD, name="Mallory")
        changed(api, hers)
        before = User.objects.count()

        answer = self.register(api)

        same = [spoken(it, it.data["id"], it.data["createdAt"], it.data["email"]) for it in (answer, unknown)]
        assert same[0] == same[1]
        assert User.objects.count() == before
        assert told()[-1] == ("already_registered", ALICE)
        assert events()[-1] == "account.registration.refused"
        assert "Alice" not in post_round()[-1].text

    def test_without_neutral_answers_it_is_called_taken(self, api: Api, hers: Tokens, settings: Settings) -> None:
        settings.REGISTRATION_NEUTRAL = False
        changed(api, hers)

        answer = self.register(api)

        assert (answer.status, answer.problems) == (HTTPStatus.CONFLICT, {"email": "email_taken"})

    def test_nobody_else_can_change_to_it(self, api: Api, bob: User, hers: Tokens) -> None:
        changed(api, hers)

        ask(api, api.login(bob.email).data, ALICE)

        assert OneTimeToken.objects.filter(user=bob, purpose=Purpose.CONFIRM_EMAIL).count() == 0

    def test_a_link_from_before_the_hold_gives_it_to_nobody(self, api: Api, bob: User, hers: Tokens) -> None:
        changed(api, hers)
        link, _notice = asked(api, api.login(bob.email).data, "free@example.org")
        OneTimeToken.objects.filter(user=bob, purpose=Purpose.CONFIRM_EMAIL).update(address=ALICE)

        assert verdict(confirm(api, link.token)) == INVALID
        assert fresh(bob).email == bob.email
        assert events().count("account.email.change_refused") == 1

    def test_its_former_owner_may_change_back(self, api: Api, alice: User, hers: Tokens) -> None:
        changed(api, hers)

        changed(api, api.login(NEW).data, ALICE)

        assert fresh(alice).email == ALICE

    def test_it_is_free_after_72_hours(self, api: Api, hers: Tokens) -> None:
        changed(api, hers)
        sent(Purpose.UNDO_EMAIL, ago=72 * HOUR + SECOND)

        self.register(api)

        assert User.objects.filter(email=ALICE).exists()
        assert told()[-1] == ("verify_email", ALICE)

    def test_an_address_that_an_undo_gave_up_is_free_at_once(self, api: Api, hers: Tokens) -> None:
        first = changed(api, hers, NEW)
        changed(api, api.login(NEW).data, NEWER)
        undo(api, first)

        for address in (NEW, NEWER):
            api.register(address)
            assert User.objects.filter(email=address).exists()

    @pytest.mark.parametrize(
        ("row", "mail", "held"),
        [
            ({}, {}, True),
            ({}, {"sent_at": timedelta(0)}, False),
            ({"created_at": timezone.now() - timedelta(days=8)}, {}, True),
            ({"created_at": timezone.now() - timedelta(days=6)}, {"state": MailState.QUEUED, "sent_at": None}, True),
            ({"created_at": timezone.now() - timedelta(days=8)}, {"state": MailState.QUEUED, "sent_at": None}, False),
            ({}, {"state": MailState.GIVEN_UP, "sent_at": None}, False),
            ({"consumed_at": timezone.now()}, {}, False),
            ({"purpose": Purpose.CONFIRM_EMAIL}, {}, False),
        ],
    )
    def test_the_hold_and_the_link_have_one_life(
        self, api: Api, bob: User, hers: Tokens, row: dict[str, object], mail: dict[str, object], *, held: bool
    ) -> None:
        token = changed(api, hers)
        undos = OneTimeToken.objects.filter(purpose=Purpose.UNDO_EMAIL)
        if mail.get("sent_at") == timedelta(0):
            mail = {"sent_at": timezone.now() - 72 * HOUR - timedelta(milliseconds=5)}  # SQLite counts in thousandths
        OutgoingMail.objects.filter(pk__in=undos.values("mail")).update(**{"state": MailState.SENT, **mail})
        undos.update(**row)

        assert selectors.address_is_held(ALICE, against=bob) is held
        assert (undo(api, token).status == HTTPStatus.OK) is held


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect what is asked of the database, without its values."""
    seen: list[str] = []

    def note(execute: Callable[..., object], sql: str, *rest: object) -> object:
        seen.append(re.sub(r'"s\d+_x\d+"', "", sql))
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        yield seen

"""Moving what is sealed to a new key, so that the old one can go."""

import json
import secrets
from collections.abc import Callable
from http import HTTPStatus
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from accounts.models import User
from authsvc import crypto
from authsvc.idempotency import reservation
from authsvc.idempotency.models import Reservation
from authsvc.idempotency.reservation import Keep
from authsvc.mail import delivery, mailbox
from authsvc.mail.models import OutgoingMail
from authsvc.reencryption import reseal
from authsvc.tokens.models import ServiceClientKey, Session, SigningKey
from authsvc.tokens.services import key_material
from authsvc.tokens.services.keys import ring
from tests.cast import Api
from tests.key_rotation import key, ripen, rotate
from tests.signing import Service

pytestmark = pytest.mark.django_db

NEW_KEY = b"a new key for the tests, 32 byte"
NEWER_KEY = b"a newer key of the tests, 32 by."
LINK = "http://127.0.0.1:8000/verify-email#token=s3cr3t-t0k3n"
NOTHING = {
    "signingKeys": 0,
    "serviceClientKeys": 0,
    "waitingMails": 0,
    "keptMails": 0,
    "idempotencyKeys": 0,
    "keptAnswers": 0,
    "sessionsLeft": 0,
}
# Two signing keys, a shared secret, a queued and a kept mail, a kept answer, a session.
EVERYTHING = {
    "signingKeys": 2,
    "serviceClientKeys": 1,
    "waitingMails": 1,
    "keptMails": 1,
    "idempotencyKeys": 1,
    "keptAnswers": 1,
    "sessionsLeft": 1,
}


def reencrypt(*options: str) -> dict[str, Any]:
    out, progress = StringIO(), StringIO()
    call_command("reencrypt", "--json", *options, stdout=out, stderr=progress)
    assert progress.getvalue() != ""
    counts: dict[str, Any] = json.loads(out.getvalue())
    return counts


def sealed() -> dict[str, bytes]:
    """Return every sealed column of every row."""
    found: dict[str, bytes | memoryview | None] = {
        f"key {row.kid}": row.sealed_private for row in SigningKey.objects.all()
    }
    found |= {f"client {row.id}": row.sealed_secret for row in ServiceClientKey.objects.all()}
    found |= {f"context {row.id}": row.sealed for row in OutgoingMail.objects.all()}
    found |= {f"rendered {row.id}": row.rendered for row in OutgoingMail.objects.all()}
    found |= {f"answer {row.id}": row.sealed_answer for row in Reservation.objects.all()}
    found |= {f"body key {row.id}": row.sealed_body_key for row in Reservation.objects.all()}
    return {name: bytes(value) for name, value in found.items() if value}


def once() -> object:
    def deed(*, keep: Keep[str]) -> str:
        answer = secrets.token_hex()
        keep(answer)
        return answer

    return reservation.once(key="a-key", scope="tests", body={"a": "body"}, deed=deed, show=str)


class World:
    """One of everything that rests sealed, made with the key of today."""

    def __init__(self, queue: Callable[..., OutgoingMail], api: Api, alice: User) -> None:
        self.api = api
        self.tokens = api.login(alice.email).data
        OutgoingMail.objects.all().delete()  # the one about that sign-in
        self.shared = Service.created("billing", "hmac-sha256")
        self.pair = Service.created("shipping", "ed25519")
        self.kept = queue()
        delivery.deliver(mail_id=self.kept.id)
        self.queued = queue()
        self.answer = once()

    def assert_all_there(self) -> None:
        """Whatever was sealed opens and does its work."""
        ring.forget()
        for row in SigningKey.objects.exclude(state="retired"):
            private = key_material.unseal(bytes(row.sealed_private), kid=row.kid)
            assert private.public_key() == key_material.public_key(row.algorithm, row.public_jwk)
        assert self.api.me(self.tokens["accessToken"]).status == HTTPStatus.OK
        assert self.shared.introspect(self.tokens["accessToken"]).body["active"] is True
        assert self.pair.introspect(self.tokens["accessToken"]).body["active"] is True
        assert OutgoingMail.objects.get(pk=self.queued.pk).open_context()["link"] == LINK
        assert once() == self.answer
        kept = mailbox.mail(self.kept.pk)
        assert kept is not None
        assert "s3cr3t-t0k3n" in kept.text


@pytest.fixture
def world(api: Api, alice: User, settings: Settings) -> World:
    settings.EMBEDDED = True  # mails are kept

    def queue() -> OutgoingMail:
        mail = OutgoingMail(
            template="accounts/email/verify_email",
            recipient="alice@example.com",
            language="en",
            dedupe_key=f"test:{OutgoingMail.objects.count()}",
        )
        mail.seal_context({"name": "Alice", "link": LINK, "hours": "24"})
        mail.save()
        return mail

    return World(queue, api, alice)


@pytest.fixture
def new_key(settings: Settings, world: World) -> None:
    """The world is older than the first key."""
    settings.ENCRYPTION_KEYS = (NEW_KEY, *settings.ENCRYPTION_KEYS)


@pytest.mark.both_databases
def test_afterwards_everything_opens_with_the_new_key_alone(world: World, settings: Settings) -> None:
    old_keys = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = (NEW_KEY, *old_keys)

    assert reencrypt() == EVERYTHING

    assert len(sealed()) == 7
    assert {value[:4] for value in sealed().values()} == {crypto.current_key_id()}
    settings.ENCRYPTION_KEYS = (NEW_KEY,)
    world.assert_all_there()
    settings.ENCRYPTION_KEYS = (*old_keys, NEW_KEY)  # a node where the new key is not yet the first
    world.assert_all_there()


def test_without_it_the_old_key_can_not_go(world: World, new_key: None, settings: Settings) -> None:
    world.assert_all_there()
    settings.ENCRYPTION_KEYS = (NEW_KEY,)

    with pytest.raises(crypto.KeyUnavailable):
        world.assert_all_there()


def test_a_second_run_finds_nothing_and_writes_nothing(world: World, new_key: None) -> None:
    reencrypt()
    before = sealed()

    assert reencrypt() == {**NOTHING, "sessionsLeft": 1}

    assert sealed() == before


def test_nothing_is_resealed_where_the_key_is_the_first_already(world: World) -> None:
    before = sealed()

    assert reencrypt() == NOTHING

    assert sealed() == before


def test_a_dry_run_counts_and_writes_nothing(world: World, new_key: None) -> None:
    before = sealed()

    assert reencrypt("--dry-run") == EVERYTHING
    assert sealed() == before
    assert reencrypt() == EVERYTHING


def test_keys_of_several_generations_move_at_once(world: World, new_key: None, settings: Settings) -> None:
    reencrypt()
    Service.created("reports", "hmac-sha256")
    settings.ENCRYPTION_KEYS = (NEWER_KEY, *settings.ENCRYPTION_KEYS)
    Service.created("newest", "hmac-sha256")

    assert reencrypt() == {**EVERYTHING, "serviceClientKeys": 2}

    settings.ENCRYPTION_KEYS = (NEWER_KEY,)
    world.assert_all_there()


def test_sessions_move_by_themselves_and_are_counted_until_then(
    world: World, new_key: None, api: Api, bob: User
) -> None:
    api.login(bob.email)  # made with the new key
    assert Session.objects.count() == 2
    assert reencrypt()["sessionsLeft"] == 1

    assert api.refresh(world.tokens["refreshToken"]).status == HTTPStatus.OK

    assert reencrypt()["sessionsLeft"] == 0


def test_ended_sessions_hold_nobody_up(world: World, new_key: None, api: Api) -> None:
    api.post("/api/v1/auth/logout", token=world.tokens["accessToken"])

    assert reencrypt()["sessionsLeft"] == 0


def test_what_is_wiped_stays_wiped(world: World, new_key: None) -> None:
    ripen()
    rotate()  # the next key that this makes is sealed with the new key

    assert reencrypt() == {**EVERYTHING, "signingKeys": 1}

    assert bytes(key("retired").sealed_private) == b""
    assert bytes(OutgoingMail.objects.get(pk=world.kept.pk).sealed) == b""
    assert bytes(OutgoingMail.objects.get(pk=world.queued.pk).rendered) == b""


def test_a_row_whose_key_is_gone_is_an_error_that_names_the_kind_and_repeating_goes_on(
    world: World, settings: Settings
) -> None:
    (old,) = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = (NEWER_KEY,)
    lost = Service.created("lost", "hmac-sha256")
    settings.ENCRYPTION_KEYS = (NEW_KEY, old)

    with pytest.raises(CommandError, match=r"serviceClientKeys: a row does not open") as refusal:
        reencrypt()
    assert refusal.value.returncode == 1

    ServiceClientKey.objects.filter(id=lost.key_id).delete()
    rest = reencrypt()
    assert (rest["signingKeys"], rest["waitingMails"], rest["keptMails"]) == (0, 1, 1)
    settings.ENCRYPTION_KEYS = (NEW_KEY,)
    world.assert_all_there()


def test_a_row_that_was_tampered_with_is_an_error(world: World, new_key: None) -> None:
    other = key("next")
    SigningKey.objects.filter(state="active").update(sealed_private=other.sealed_private)

    with pytest.raises(CommandError, match=r"signingKeys: a row does not open"):
        reencrypt()


@pytest.mark.both_databases
def test_a_row_that_changes_meanwhile_is_left_as_its_change_made_it(world: World, new_key: None) -> None:
    def wiped_meanwhile(mail: OutgoingMail) -> str:
        OutgoingMail.objects.filter(pk=mail.pk).update(sealed=b"", state="given_up")
        return mail.context_seal()

    reseal(OutgoingMail.objects.all(), "sealed", context=wiped_meanwhile, dry_run=False)

    assert bytes(OutgoingMail.objects.get(pk=world.queued.pk).sealed) == b""


def test_as_text_there_is_a_line_for_each_kind(world: World, new_key: None) -> None:
    def said(*options: str) -> list[str]:
        out = StringIO()
        call_command("reencrypt", *options, stdout=out, stderr=StringIO())
        return out.getvalue().splitlines()

    kinds = {name: count for name, count in EVERYTHING.items() if name != "sessionsLeft"}
    last = "1 live sessions still rest on an older key."
    assert said("--dry-run") == [*(f"{name}: {count} would be sealed anew" for name, count in kinds.items()), last]
    assert said() == [*(f"{name}: {count} sealed anew" for name, count in kinds.items()), last]

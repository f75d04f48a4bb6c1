"""Known devices: a token marks one, and only its owner's sign-ins see it."""

from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.services import signin
from audit.models import Event
from audit.origin import Origin
from authsvc import crypto
from authsvc.tokens.models import KnownDevice, Session
from authsvc.tokens.services import expiry, known_devices, sessions
from authsvc.tokens.services.known_devices import DEVICES_PER_USER, Presented
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Api, post_round
from tests.ledger import events, stored
from tests.lineage import Tokens, row

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

DEVICES = f"{V1}/users/me/devices"
ADMIN = "/admin/tokens/knowndevice/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
ORIGIN = Origin(ip="192.0.2.7", user_agent=FIREFOX, request_id="", actor_id=None)
YEAR = timedelta(days=365)


@pytest.fixture
def first(api: Api, alice: User) -> Tokens:
    """Alice, signed in on a device that is known from now on."""
    tokens: Tokens = api.login(alice.email, deviceName="Laptop").data
    return tokens


def seen(device_id: Any, ago: timedelta) -> None:
    """Let the last sign-in on a device have been so long ago."""
    moment = timezone.now() - ago
    assert KnownDevice.objects.filter(pk=device_id).update(created_at=moment, last_seen_at=moment) == 1


def listed(api: Api, tokens: Tokens, query: str = "") -> Any:
    answer = api.get(DEVICES + query, token=tokens["accessToken"])
    assert answer.status == HTTPStatus.OK, answer.body
    return answer.body


# Signing in


def test_a_sign_in_on_an_unknown_device_gives_it_a_token_and_one_with_the_token_gives_none(
    api: Api, alice: User, first: Tokens
) -> None:
    device = KnownDevice.objects.get()
    seen(device.pk, timedelta(days=3))

    second = api.login(alice.email, deviceToken=first["deviceToken"])

    known = KnownDevice.objects.get()
    assert second.status == HTTPStatus.OK
    assert "deviceToken" not in second.data
    assert (known.pk, known.user_id, known.name, known.user_agent) == (device.pk, alice.pk, "Laptop", "tests")
    assert timezone.now() - known.last_seen_at < timedelta(minutes=1)
    assert timezone.now() - known.created_at > timedelta(days=2)
    assert row(first)["known_device_id"] == row(second.data)["known_device_id"] == device.pk


def test_every_sign_in_without_the_token_makes_another_device_known(api: Api, alice: User, first: Tokens) -> None:
    second = api.login(alice.email).data

    assert second["deviceToken"] != first["deviceToken"]
    assert KnownDevice.objects.count() == 2
    assert row(first)["known_device_id"] != row(second)["known_device_id"]


def test_the_device_goes_by_the_name_of_its_last_sign_in(api: Api, alice: User, first: Tokens) -> None:
    api.login(alice.email, deviceToken=first["deviceToken"], deviceName="Old laptop")
    api.login(alice.email, deviceToken=first["deviceToken"])

    assert KnownDevice.objects.get().name == "Old laptop"


def test_the_token_of_somebody_elses_device_counts_as_none(api: Api, alice: User, bob: User, first: Tokens) -> None:
    (hers,) = (each for each in stored()["tokens.KnownDevice"])

    his = api.login(bob.email, deviceToken=first["deviceToken"])

    assert his.status == HTTPStatus.OK
    assert his.data["deviceToken"] != first["deviceToken"]
    assert hers in stored()["tokens.KnownDevice"]
    assert KnownDevice.objects.filter(user=bob).count() == KnownDevice.objects.filter(user=alice).count() == 1


@pytest.mark.parametrize("kind", ["short", "long", "other secret", "other id", "no base64", "of a session", "empty"])
def test_a_token_that_is_wrong_counts_as_none(api: Api, alice: User, first: Tokens, kind: str) -> None:
    good = first["deviceToken"]
    data = crypto.b64decode(good)
    wrong = {
        "short": good[:20],
        "long": good + "AAAA",
        "other secret": crypto.b64encode(data[:16] + bytes(32)),
        "other id": crypto.b64encode(uuid4().bytes + data[16:]),
        "no base64": good[:-1] + "*",
        "of a session": first["refreshToken"],
        "empty": "",
    }[kind]

    answer = api.login(alice.email, deviceToken=wrong)

    assert answer.status == HTTPStatus.OK
    assert "deviceToken" in answer.data
    assert KnownDevice.objects.count() == 2


@pytest.mark.parametrize(("value", "code"), [(7, "invalid_type"), ("x" * 4097, "too_long"), ("ß", "invalid_character")])
def test_a_token_that_cannot_be_one_is_refused(api: Api, alice: User, value: object, code: str) -> None:
    body = {"email": alice.email, "password": PASSWORD, "deviceToken": value}

    assert api.post(f"{V1}/auth/login", body).problems == {"deviceToken": code}
    assert Session.objects.count() == KnownDevice.objects.count() == 0


def test_a_failed_sign_in_says_nothing_of_the_device_and_leaves_it(api: Api, alice: User, first: Tokens) -> None:
    seen(KnownDevice.objects.get().pk, timedelta(days=3))
    before = stored()["tokens.KnownDevice"]

    answer = api.login(alice.email, OTHER_PASSWORD, deviceToken=first["deviceToken"])

    assert answer.codes == ["invalid_credentials"]
    assert "data" not in answer.body
    assert stored()["tokens.KnownDevice"] == before


def test_a_refresh_gives_no_token_and_stays_on_its_device(api: Api, first: Tokens) -> None:
    refreshed = api.refresh(first["refreshToken"]).data

    assert "deviceToken" not in refreshed
    assert row(refreshed)["known_device_id"] == KnownDevice.objects.get().pk


def test_only_the_digest_of_a_token_is_kept_and_no_representation_shows_it(
    api: Api, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    token = api.login(alice.email).data["deviceToken"]
    api.login(alice.email, deviceToken=token)
    post_round()

    presented = Presented("Laptop", token)
    issued = signin.sign_in(email=alice.email, password=PASSWORD, device=Presented(), origin=ORIGIN)
    started = sessions.start(user=alice, amr=["pwd"], device=Presented(), origin=ORIGIN)
    admitted = known_devices.admit(user=alice, presented=Presented(), origin=ORIGIN)

    assert issued.device_token
    assert admitted.new_token
    assert len(crypto.b64decode(token)) == 16 + 32
    assert bytes(KnownDevice.objects.earliest("id").digest) == crypto.sha256(token)
    assert token not in repr(stored())
    assert token not in caplog.text
    assert token not in repr(presented)
    assert issued.device_token not in repr(issued)
    assert str(started.device_token) not in repr(started)
    assert admitted.new_token not in repr(admitted)


def test_a_device_that_was_not_seen_for_a_year_is_unknown_again(api: Api, alice: User, first: Tokens) -> None:
    old, used = KnownDevice.objects.get(), api.login(alice.email).data
    seen(old.pk, YEAR)
    seen(row(used)["known_device_id"], YEAR - timedelta(minutes=1))

    assert [each["id"] for each in listed(api, used)["data"]] == [str(row(used)["known_device_id"])]
    assert "deviceToken" in api.login(alice.email, deviceToken=first["deviceToken"]).data
    assert "deviceToken" not in api.login(alice.email, deviceToken=used["deviceToken"]).data
    assert expiry.due()["knownDevices"] == 1
    assert expiry.purge() == 1
    assert not KnownDevice.objects.filter(pk=old.pk).exists()
    assert KnownDevice.objects.count() == 2


def test_beyond_a_hundred_the_devices_go_that_were_seen_longest_ago(api: Api, alice: User, bob: User) -> None:
    now = timezone.now()
    KnownDevice.objects.bulk_create(
        KnownDevice(user=owner, digest=crypto.sha256(f"{owner.pk}{age}"), last_seen_at=now - timedelta(days=age))
        for owner in (alice, bob)
        for age in range(1, DEVICES_PER_USER + 3)
    )

    known = row(api.login(alice.email).data)["known_device_id"]

    kept = KnownDevice.objects.filter(user=alice)
    assert kept.count() == DEVICES_PER_USER == 100
    assert known in kept.values_list("pk", flat=True)
    assert kept.earliest("last_seen_at").last_seen_at == now - timedelta(days=DEVICES_PER_USER - 1)
    assert KnownDevice.objects.filter(user=bob).count() == DEVICES_PER_USER + 2


# Seeing and removing them


def test_the_list_has_the_callers_devices_the_last_seen_first(api: Api, alice: User, bob: User, first: Tokens) -> None:
    unnamed = Api(REMOTE_ADDR="192.0.2.11", HTTP_USER_AGENT=FIREFOX).login(alice.email).data
    api.login(bob.email)
    seen(row(first)["known_device_id"], timedelta(hours=1))

    body = listed(api, first)

    laptop = KnownDevice.objects.get(pk=row(first)["known_device_id"])
    assert body["pagination"] == {"page": 1, "limit": 20, "total": 2, "totalPages": 1}
    assert [(each["name"], each["current"]) for each in body["data"]] == [("Firefox · Linux", False), ("Laptop", True)]
    assert body["data"][0]["id"] == str(row(unnamed)["known_device_id"])
    assert body["data"][1] == {
        "id": str(laptop.pk),
        "name": "Laptop",
        "current": True,
        "trustedUntil": None,
        "createdAt": body["data"][1]["createdAt"],
        "lastSeenAt": body["data"][1]["lastSeenAt"],
    }


def test_the_list_comes_in_pages(api: Api, alice: User, first: Tokens) -> None:
    for _ in range(2):
        api.login(alice.email)

    body = listed(api, first, "?limit=2&page=2")

    assert body["pagination"] == {"page": 2, "limit": 2, "total": 3, "totalPages": 2}
    assert [each["name"] for each in body["data"]] == ["Laptop"]
    assert api.get(f"{DEVICES}?page=3&limit=2", token=first["accessToken"]).problems == {"page": "out_of_range"}


def test_a_removed_device_is_unknown_and_its_session_goes_on(api: Api, alice: User, first: Tokens) -> None:
    device = KnownDevice.objects.get()

    answer = api.delete(f"{DEVICES}/{device.pk}", token=first["accessToken"])

    event = Event.objects.latest("id")
    assert (answer.status, answer.body["data"]) == (HTTPStatus.OK, None)
    assert (event.action, event.outcome, event.resource) == ("device.removed", "success", f"device:{device.pk}")
    assert (event.actor, event.subject, event.session_id) == (alice.audit_key, alice.audit_key, None)
    assert event.metadata == {}
    assert listed(api, first)["data"] == []
    assert "deviceToken" in api.login(alice.email, deviceToken=first["deviceToken"]).data


def test_a_device_of_somebody_else_is_not_there(api: Api, bob: User, first: Tokens) -> None:
    his = api.login(bob.email).data
    before = stored()

    somebodys = api.delete(f"{DEVICES}/{row(first)['known_device_id']}", token=his["accessToken"])
    nobodys = api.delete(f"{DEVICES}/{uuid4()}", token=his["accessToken"])

    assert somebodys.status == nobodys.status == HTTPStatus.NOT_FOUND
    assert somebodys.codes == nobodys.codes == ["not_found"]
    assert stored() == before


# Voiding


def test_all_devices_of_a_person_are_voided_and_nobody_elses(api: Api, alice: User, bob: User, first: Tokens) -> None:
    api.login(alice.email)
    his = api.login(bob.email).data

    assert known_devices.void(alice) == 2

    assert KnownDevice.objects.get().pk == row(his)["known_device_id"]
    assert "deviceToken" in api.login(alice.email, deviceToken=first["deviceToken"]).data


def test_one_that_is_kept_loses_its_trust(api: Api, alice: User, first: Tokens) -> None:
    api.login(alice.email)
    kept: UUID = row(first)["known_device_id"]
    KnownDevice.objects.update(trusted_until=timezone.now() + timedelta(days=30))

    assert known_devices.void(alice, keep=kept) == 1

    device = KnownDevice.objects.get()
    assert (device.pk, device.trusted_until) == (kept, None)
    assert "deviceToken" not in api.login(alice.email, deviceToken=first["deviceToken"]).data


def test_keeping_a_device_of_somebody_else_keeps_nothing_and_changes_nothing_of_it(
    api: Api, alice: User, bob: User, first: Tokens
) -> None:
    his = row(api.login(bob.email).data)["known_device_id"]
    KnownDevice.objects.update(trusted_until=timezone.now() + timedelta(days=30))

    assert known_devices.void(alice, keep=his) == 1

    assert KnownDevice.objects.get(trusted_until__isnull=False).pk == his


# Staff


def test_staff_remove_the_chosen_devices_and_the_log_tells_who(
    api: Api, client: Client, admin: User, alice: User, first: Tokens
) -> None:
    chosen, kept = row(first)["known_device_id"], row(api.login(alice.email).data)["known_device_id"]
    client.force_login(admin)

    form = {"action": "remove_selected", "_selected_action": [str(chosen)]}
    answer = client.post(ADMIN, form, follow=True)

    assert [str(message) for message in answer.context["messages"]] == ["1 device was removed."]
    assert KnownDevice.objects.get().pk == kept
    event = Event.objects.get(action="device.removed")
    assert (event.actor, event.subject, event.resource) == (admin.audit_key, alice.audit_key, f"device:{chosen}")


def test_nobody_but_staff_removes_devices_there(client: Client, first: Tokens) -> None:
    form = {"action": "remove_selected", "_selected_action": str(row(first)["known_device_id"])}

    assert client.post(ADMIN, form).status_code == HTTPStatus.FOUND
    assert KnownDevice.objects.count() == 1
    assert "device.removed" not in events()

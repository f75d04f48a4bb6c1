"""Service clients and their keys: made by command, two live ones at most, revoked for good."""

import base64
import json
from datetime import timedelta
from http import HTTPStatus
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from audit.models import Event
from audit.origin import Origin
from authsvc import crypto
from authsvc.tokens.models import ServiceClient, ServiceClientKey, UsedNonce
from authsvc.tokens.services import clients, expiry
from authsvc.tokens.services.clients import Algorithm, ClientDisabled, NewKey, TooManyKeys, UnknownClient
from tests.signing import ALGORITHMS, Draft, Service

pytestmark = pytest.mark.django_db

ORIGIN = Origin.system("tests")
BILLING = ("--name", "billing")


def create(*options: str) -> str:
    out = StringIO()
    call_command("create_service_client", *options, stdout=out)
    return out.getvalue()


def revoke(*options: str) -> str:
    out = StringIO()
    call_command("revoke_service_client_key", *options, stdout=out)
    return out.getvalue()


def events() -> list[str]:
    return list(Event.objects.order_by("id").values_list("action", flat=True))


def everything() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (ServiceClient, ServiceClientKey, Event)]


def works(service: Service) -> bool:
    return Draft(service).send().status == HTTPStatus.OK


# The command


@pytest.mark.both_databases
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_printed_key_signs(algorithm: str) -> None:
    service = Service.created("billing", algorithm)

    client, key = ServiceClient.objects.get(), ServiceClientKey.objects.get()
    assert (str(client.id), client.name, client.disabled_at) == (service.client_id, "billing", None)
    assert (str(key.id), key.client_id, key.algorithm, key.revoked_at) == (service.key_id, client.id, algorithm, None)
    assert client.id.version == key.id.version == 7
    assert works(service)


def test_without_a_word_the_algorithm_is_hmac() -> None:
    assert json.loads(create(*BILLING, "--json"))["algorithm"] == "hmac-sha256"


def test_a_shared_secret_is_32_bytes_in_base64url_and_sealed_at_rest() -> None:
    service = Service.created("billing", "hmac-sha256")

    shared = base64.urlsafe_b64decode(service.secret)
    key = ServiceClientKey.objects.get()
    assert len(shared) == 32
    assert key.public_key is None
    assert key.sealed_secret is not None
    assert shared not in bytes(key.sealed_secret)
    assert crypto.unseal(bytes(key.sealed_secret), context=f"service-client-key:{key.id}") == shared


def test_a_private_key_is_pem_and_only_its_public_part_is_kept() -> None:
    service = Service.created("billing", "ed25519")

    private = load_pem_private_key(service.secret.encode(), None)
    assert isinstance(private, Ed25519PrivateKey)
    assert service.secret.startswith("-----BEGIN PRIVATE KEY-----\n")
    key = ServiceClientKey.objects.get()
    assert key.sealed_secret is None
    assert bytes(key.public_key or b"") == private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_as_text_everything_is_there_once(algorithm: str) -> None:
    said = create(*BILLING, "--algorithm", algorithm)

    key = ServiceClientKey.objects.get()
    lines = said.splitlines()
    assert lines[:4] == [
        f"client id: {key.client_id}",
        f"key id:    {key.id}",
        f"algorithm: {algorithm}",
        "secret, shown this once:",
    ]
    assert works(Service(str(key.client_id), str(key.id), algorithm, "\n".join(lines[4:])))


def test_the_log_tells_who_came_and_holds_no_secret() -> None:
    service = Service.created("billing", "hmac-sha256")

    created, added = Event.objects.order_by("id")
    assert (created.action, added.action) == ("machine.client.created", "machine.key.added")
    for event in (created, added):
        assert (event.resource, event.user_agent) == (f"client:{service.client_id}", "create_service_client")
    assert created.metadata == {"client": "billing"}
    assert added.metadata == {"client": "billing", "key": service.key_id, "algorithm": "hmac-sha256"}


def test_the_same_name_again_is_refused_and_changes_nothing() -> None:
    first = Service.created()
    before = everything()

    with pytest.raises(CommandError, match=r"exists and has a live key.*Use --add-key") as refusal:
        create(*BILLING, "--json")

    assert refusal.value.returncode == 1
    assert everything() == before
    assert works(first)


def test_a_second_key_is_added_where_that_is_asked_for() -> None:
    first = Service.created()
    second = Service.created("billing", "hmac-sha256", "--add-key")

    assert second.client_id == first.client_id
    assert second.key_id != first.key_id
    assert works(first)
    assert works(second)
    assert events() == ["machine.client.created", "machine.key.added", "machine.key.added"]


def test_a_third_live_key_is_refused() -> None:
    services = [Service.created(), Service.created("billing", "ed25519", "--add-key")]
    before = everything()

    with pytest.raises(CommandError, match=r"has two live keys\. Revoke one of them first\. Nothing was changed\.$"):
        create(*BILLING, "--add-key")

    assert everything() == before
    assert all(works(service) for service in services)


def test_keys_follow_each_other_for_ever() -> None:
    current = Service.created()
    for _ in range(4):
        following = Service.created("billing", "ed25519", "--add-key")
        revoke(current.key_id)
        assert not works(current)
        current = following

    assert works(current)
    assert ServiceClientKey.objects.filter(revoked_at__isnull=True).count() == 1
    assert ServiceClientKey.objects.count() == 5


def test_a_client_whose_keys_are_all_revoked_gets_a_new_one_without_more_words() -> None:
    first = Service.created()
    revoke(first.key_id)

    second = Service.created()

    assert second.client_id == first.client_id
    assert works(second)


def test_a_second_key_for_nobody() -> None:
    with pytest.raises(CommandError, match="no service client with this name"):
        create("--name", "biling", "--add-key")

    assert ServiceClient.objects.count() == 0


def test_a_disabled_client_gets_no_key() -> None:
    service = Service.created()
    clients.disable(client_id=UUID(service.client_id), origin=ORIGIN)

    for options in ((), ("--add-key",)):
        with pytest.raises(CommandError, match="is disabled"):
            create(*BILLING, *options)
    assert ServiceClientKey.objects.count() == 1


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "two\nlines", "nul\0", "\u202eevil"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(CommandError, match="A name has 1 to 100 characters"):
        create("--name", name)

    assert ServiceClient.objects.count() == 0


def test_a_name_is_the_same_however_it_is_typed() -> None:
    create("--name", "  Café ")

    with pytest.raises(CommandError, match="exists"):
        create("--name", "Cafe\u0301")
    assert ServiceClient.objects.get().name == "Café"


def test_an_unknown_algorithm() -> None:
    with pytest.raises(CommandError, match="invalid choice: 'rsa'"):
        create(*BILLING, "--algorithm", "rsa")


@pytest.mark.parametrize("existing", [0, 1, 2])
def test_a_dry_run_checks_everything_and_writes_nothing(existing: int) -> None:
    if existing:
        Service.created()
    if existing == 2:
        Service.created("billing", "ed25519", "--add-key")
    before = everything()
    options = (*BILLING, "--dry-run", *(("--add-key",) if existing else ()))

    if existing == 2:
        with pytest.raises(CommandError, match="has two live keys"):
            create(*options)
    else:
        assert create(*options) == "billing would get a key for hmac-sha256.\n"
        assert json.loads(create(*options, "--json")) == {
            "clientId": None,
            "keyId": None,
            "secret": None,
            "algorithm": "hmac-sha256",
            "dryRun": True,
        }
    assert everything() == before


# Revoking


@pytest.mark.both_databases
def test_a_revoked_key_is_refused_at_once_and_stays_so() -> None:
    service = Service.created()

    assert revoke(service.key_id) == f"{service.key_id} is revoked.\n"

    assert not works(service)
    revoked_at = ServiceClientKey.objects.get().revoked_at
    assert revoke(service.key_id) == f"{service.key_id} is revoked already. Nothing was changed.\n"
    assert json.loads(revoke(service.key_id, "--json")) == {
        "keyId": service.key_id,
        "revoked": False,
        "dryRun": False,
    }
    assert ServiceClientKey.objects.get().revoked_at == revoked_at
    event = Event.objects.get(action="machine.key.revoked")
    assert event.metadata == {"client": "billing", "key": service.key_id, "algorithm": "ed25519"}
    assert event.user_agent == "revoke_service_client_key"


def test_a_dry_run_revokes_nothing() -> None:
    service = Service.created()

    assert revoke(service.key_id, "--dry-run") == f"{service.key_id} would be revoked.\n"

    assert works(service)


def test_revoking_what_is_no_key() -> None:
    with pytest.raises(CommandError, match="no key with this id"):
        revoke(str(uuid4()))
    with pytest.raises(CommandError, match="invalid UUID value"):
        revoke("billing")


def test_disabling_is_noted_once_and_refuses_every_key() -> None:
    service = Service.created()

    assert clients.disable(client_id=UUID(service.client_id), origin=ORIGIN) is True
    assert clients.disable(client_id=UUID(service.client_id), origin=ORIGIN) is False

    assert not works(service)
    assert events().count("machine.client.disabled") == 1


# The service and the database


def test_a_new_keys_secret_is_in_no_representation() -> None:
    made = clients.create_client(name="billing", algorithm=Algorithm.HMAC_SHA256, origin=ORIGIN)

    assert isinstance(made, NewKey)
    assert made.secret not in repr(made)
    assert str(made.key) == f"hmac-sha256 {made.key.id}"


def test_the_services_raise_what_they_say() -> None:
    with pytest.raises(UnknownClient):
        clients.add_key(name="billing", algorithm=Algorithm.ED25519, origin=ORIGIN)
    made = clients.create_client(name="billing", algorithm=Algorithm.ED25519, origin=ORIGIN)
    with pytest.raises(clients.ClientExists):
        clients.create_client(name="billing", algorithm=Algorithm.ED25519, origin=ORIGIN)
    clients.add_key(name="billing", algorithm=Algorithm.ED25519, origin=ORIGIN)
    with pytest.raises(TooManyKeys):
        clients.add_key(name="billing", algorithm=Algorithm.ED25519, origin=ORIGIN)
    clients.disable(client_id=made.key.client_id, origin=ORIGIN)
    with pytest.raises(ClientDisabled):
        clients.add_key(name="billing", algorithm=Algorithm.ED25519, origin=ORIGIN)


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "wrong",
    [
        {"slot": 1},
        {"slot": 3},
        {"slot": 0},
        {"sealed_secret": b"x"},
        {"public_key": None},
        {"algorithm": "hmac-sha256"},
        {"algorithm": "hmac-sha256", "sealed_secret": b"x"},
        {"algorithm": "rsa"},
    ],
)
def test_the_database_keeps_the_rules(wrong: dict[str, Any]) -> None:
    client = clients.create_client(name="billing", algorithm=Algorithm.ED25519, origin=ORIGIN).key.client
    right = {"client": client, "slot": 2, "algorithm": "ed25519", "public_key": b"p" * 32}

    with pytest.raises(IntegrityError), transaction.atomic():
        ServiceClientKey.objects.create(**{**right, **wrong})

    ServiceClientKey.objects.create(**right)


def test_nonces_go_when_their_time_is_over() -> None:
    key = clients.create_client(name="billing", algorithm=Algorithm.ED25519, origin=ORIGIN).key
    now = timezone.now()
    for number, age in enumerate((timedelta(days=1), timedelta(seconds=1), timedelta(minutes=-1))):
        assert UsedNonce.objects.use(key=key, digest=bytes([number]) * 32, expires_at=now - age)

    assert expiry.purge() == 2

    assert bytes(UsedNonce.objects.get().digest) == b"\2" * 32


# The admin


@pytest.fixture
def staff(client: Client, admin: User) -> Client:
    client.force_login(admin)
    return client


CLIENTS, KEYS = "/admin/tokens/serviceclient/", "/admin/tokens/serviceclientkey/"


def test_staff_see_clients_and_keys_and_no_secret(staff: Client) -> None:
    services = [Service.created("billing", "hmac-sha256"), Service.created("search", "ed25519")]

    pages = [
        staff.get(path).content.decode()
        for path in (
            CLIENTS,
            KEYS,
            *(f"{CLIENTS}{service.client_id}/change/" for service in services),
            *(f"{KEYS}{service.key_id}/change/" for service in services),
        )
    ]

    assert "billing" in pages[0]
    assert all(service.key_id in pages[1] for service in services)
    for key in ServiceClientKey.objects.all():
        for hidden in (bytes(key.sealed_secret or b"-" * 9), bytes(key.public_key or b"-" * 9)):
            assert not any(shape in page for page in pages for shape in (hidden.hex(), crypto.b64encode(hidden)))
    assert not any(services[0].secret in page for page in pages)


def test_staff_revoke_keys_and_the_log_tells_who(staff: Client, admin: User) -> None:
    service, kept = Service.created("billing"), Service.created("search")

    answer = staff.post(KEYS, {"action": "revoke_selected", "_selected_action": service.key_id}, follow=True)

    assert [str(message) for message in answer.context["messages"]] == ["1 key was revoked."]
    assert not works(service)
    assert works(kept)
    assert Event.objects.get(action="machine.key.revoked").actor == admin.audit_key


def test_staff_disable_clients_and_the_log_tells_who(staff: Client, admin: User) -> None:
    service, kept = Service.created("billing"), Service.created("search")

    answer = staff.post(CLIENTS, {"action": "disable_selected", "_selected_action": service.client_id}, follow=True)

    assert [str(message) for message in answer.context["messages"]] == ["1 service client was disabled."]
    assert not works(service)
    assert works(kept)
    assert Event.objects.get(action="machine.client.disabled").actor == admin.audit_key


@pytest.mark.parametrize("path", [CLIENTS, KEYS])
def test_nothing_else_can_be_done_there(staff: Client, path: str) -> None:
    service = Service.created()
    row = service.client_id if path == CLIENTS else service.key_id

    assert staff.get(f"{path}add/").status_code == HTTPStatus.FORBIDDEN
    assert staff.post(f"{path}{row}/delete/", {"post": "yes"}).status_code == HTTPStatus.FORBIDDEN
    assert staff.post(f"{path}{row}/change/", {"name": "other"}).status_code == HTTPStatus.FORBIDDEN
    assert works(service)


@pytest.mark.parametrize("lookup", ["sealed_secret__startswith", "public_key__gt", "client__disabled_at"])
def test_columns_can_not_be_guessed_through_the_address_bar(staff: Client, lookup: str) -> None:
    assert staff.get(KEYS, {lookup: "a"}).status_code == HTTPStatus.BAD_REQUEST


def test_nobody_but_staff_revokes_here(client: Client, alice: User) -> None:
    service = Service.created()
    client.force_login(alice)

    client.post(KEYS, {"action": "revoke_selected", "_selected_action": service.key_id})

    assert works(service)

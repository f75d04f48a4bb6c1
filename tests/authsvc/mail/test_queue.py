"""The way into the outbox."""

import socket
import time
from collections.abc import Iterator
from queue import SimpleQueue
from uuid import UUID, uuid4

import pytest
from celery import Celery
from django.db import transaction

from authsvc.lots import Lots
from authsvc.mail import queue, tasks
from authsvc.mail.models import OutgoingMail
from config.celery import app
from tests.authsvc.mail.conftest import Queue

PATIENCE = 10.0


@pytest.fixture
def broker() -> Iterator[Celery]:
    """Announce to an empty in-memory broker, from a thread that this test starts."""
    yield from _announcing_to("memory://")


@pytest.fixture
def dead_broker() -> Iterator[Celery]:
    """Announce to a port where nothing listens."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    yield from _announcing_to(f"redis://127.0.0.1:{port}/0")


@pytest.fixture
def frozen_broker() -> Iterator[Celery]:
    """Announce to a server that takes connections and says nothing."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        yield from _announcing_to(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")


def _announcing_to(url: str) -> Iterator[Celery]:
    other = Celery("other", broker=url, set_as_current=False)
    other.set_default()
    own, queue._announcements = queue._announcements, Lots(tasks.announce_lot, name="test", pause_seconds=0, capacity=3)
    time.sleep(2 * own._pause_seconds)  # what earlier tests announced goes to their broker
    yield other
    queue._announcements = own
    app.set_default()


@pytest.mark.django_db(transaction=True)
def test_a_mail_is_announced_by_its_id_alone_once_its_transaction_commits(broker: Celery, queued: Queue) -> None:
    with broker.connection() as connection, connection.SimpleQueue("celery") as announced:
        announced.clear()
        with transaction.atomic():
            mail = queued()
            with pytest.raises(announced.Empty):
                announced.get(timeout=0.3)

        message = announced.get(timeout=PATIENCE)

        assert message.headers["task"] == "authsvc.mail.tasks.deliver"
        assert message.payload[:2] == [[], {"mail_id": str(mail.pk)}]
        assert "alice" not in str(message.headers) + str(message.payload)


@pytest.mark.django_db(transaction=True)
def test_a_mail_goes_with_its_transaction_when_that_is_rolled_back(broker: Celery, queued: Queue) -> None:
    with broker.connection() as connection, connection.SimpleQueue("celery") as announced:
        announced.clear()
        with transaction.atomic():
            queued()
            transaction.set_rollback(True)

        with pytest.raises(announced.Empty):
            announced.get(timeout=0.3)
    assert OutgoingMail.objects.count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("state", ["dead_broker", "frozen_broker"])
def test_a_broker_that_does_not_answer_delays_nobody(state: str, request: pytest.FixtureRequest, queued: Queue) -> None:
    request.getfixturevalue(state)
    began = time.monotonic()

    mails = [queued() for _ in range(10)]

    assert time.monotonic() - began < 1
    assert OutgoingMail.objects.filter(pk__in=[mail.pk for mail in mails], state="queued").count() == 10


@pytest.mark.django_db(transaction=True)
def test_announcements_go_to_the_configured_broker_from_any_thread() -> None:
    found: SimpleQueue[Celery] = SimpleQueue()

    Lots[UUID](lambda _lot: found.put(tasks.deliver.app), name="test", pause_seconds=0).add(uuid4())

    assert found.get(timeout=PATIENCE).conf.broker_url == app.conf.broker_url


def test_the_configured_broker_takes_announcements_into_the_queue_of_mails() -> None:
    mail_ids = [uuid4(), uuid4()]
    with app.connection() as connection, connection.SimpleQueue("authsvc.mail") as announced:
        announced.clear()

        tasks.announce(mail_ids)

        messages = [announced.get(timeout=PATIENCE) for _ in mail_ids]
    assert [message.payload[1] for message in messages] == [{"mail_id": str(mail_id)} for mail_id in mail_ids]
    assert all(message.headers["expires"] for message in messages)


def test_many_mails_are_announced_by_one_message_which_a_worker_takes_apart() -> None:
    mail_ids = [uuid4() for _ in range(5)]
    with app.connection() as connection, connection.SimpleQueue("authsvc.mail") as announced:
        announced.clear()

        tasks.announce_lot(mail_ids)
        message = announced.get(timeout=PATIENCE)
        with pytest.raises(announced.Empty):
            announced.get(timeout=0.2)
        assert message.headers["task"] == "authsvc.mail.tasks.announce_each"
        tasks.announce_each(**message.payload[1])

        messages = [announced.get(timeout=PATIENCE) for _ in mail_ids]
    assert {message.headers["task"] for message in messages} == {"authsvc.mail.tasks.deliver"}
    assert [message.payload[1] for message in messages] == [{"mail_id": str(mail_id)} for mail_id in mail_ids]


@pytest.mark.django_db
@pytest.mark.both_databases
def test_the_same_key_queues_one_mail(queued: Queue) -> None:
    first = queued(dedupe_key="same")
    second = queued(dedupe_key="same", to="bob@example.com", context={"name": "Bob"})

    assert second.pk == first.pk
    assert second.recipient == "alice@example.com"
    assert second.open_context()["name"] == "Alice"
    assert OutgoingMail.objects.count() == 1


@pytest.mark.django_db
def test_the_context_rests_sealed(queued: Queue) -> None:
    mail = queued()

    stored = OutgoingMail.objects.get(pk=mail.pk)

    assert b"s3cr3t" not in bytes(stored.sealed)
    assert b"Alice" not in bytes(stored.sealed)
    assert stored.open_context()["link"].endswith("#token=s3cr3t-t0k3n")

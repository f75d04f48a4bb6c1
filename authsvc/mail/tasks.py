"""What the workers do for the outbox."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from celery import Task, shared_task

from authsvc.mail import delivery

# A worker that gets to an announcement later than this leaves it: the sweep has made a new one,
# and so a stalled mail server cannot make the queue grow without end.
ANNOUNCEMENT_SECONDS = 120
_BROKER_TIMEOUTS = {"socket_timeout": 1.0, "socket_connect_timeout": 0.5}
_SWEEP_BATCH = 500
_PURGE_BATCH = 1000


# The time limit ends an attempt whose server answers byte by byte before the claim does (60 s).
@shared_task(acks_late=True, reject_on_worker_lost=True, ignore_result=True, soft_time_limit=45, time_limit=55)
def deliver(*, mail_id: str, **_from_newer_senders: object) -> None:
    """Send one queued mail; safe to run twice."""
    delivery.deliver(mail_id=UUID(mail_id))


@shared_task(ignore_result=True)
def sweep(**_from_newer_senders: object) -> None:
    """Announce what waits: retries, and mails whose first announcement was lost."""
    announce(delivery.due(_SWEEP_BATCH))


@shared_task(ignore_result=True)
def purge(**_from_newer_senders: object) -> None:
    """Delete mails that were finished long ago."""
    while delivery.purge(_PURGE_BATCH) == _PURGE_BATCH:
        pass


@shared_task(acks_late=True, ignore_result=True)
def announce_each(*, mail_ids: list[str], **_from_newer_senders: object) -> None:
    """Announce mails one by one, so that as many workers as there are can send them."""
    announce(map(UUID, mail_ids))


def announce_lot(mail_ids: Sequence[UUID]) -> None:
    """Tell the workers which mails wait by one message, however many: the rest of that work is theirs.

    Raises as `announce`.
    """
    if len(mail_ids) == 1:
        announce(mail_ids)
    else:
        _send(announce_each, [{"mail_ids": [str(mail_id) for mail_id in mail_ids]}])


def announce(mail_ids: Iterable[UUID]) -> None:
    """Tell the workers which mails wait, by id alone: brokers and logs see task arguments.

    Raises whatever the broker's client raises.
    """
    _send(deliver, ({"mail_id": str(mail_id)} for mail_id in mail_ids))


def _send(task: "Task[..., None]", messages: Iterable[Mapping[str, object]]) -> None:
    """Send what a task is called with over a fresh connection, which gives up after a second.

    Another might be one to a broker that has died meanwhile.
    """
    options = {**task.app.conf.broker_transport_options, **_BROKER_TIMEOUTS}
    with task.app.connection_for_write(transport_options=options) as connection:
        producer = task.app.amqp.Producer(connection, auto_declare=False)
        for message in messages:
            task.apply_async(kwargs=dict(message), producer=producer, expires=ANNOUNCEMENT_SECONDS, retry=False)

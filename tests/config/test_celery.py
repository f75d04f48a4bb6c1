"""The job queue, and what runs by the clock."""

import pytest
from kombu.exceptions import ContentDisallowed
from kombu.serialization import dumps, loads

from config.celery import HOUSEKEEPING, MAIL, SCHEDULE, app


def test_every_scheduled_task_exists() -> None:
    app.loader.import_default_modules()

    assert set(SCHEDULE) <= set(app.tasks)
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} == set(SCHEDULE)


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("authsvc.mail.tasks.deliver", MAIL),
        ("authsvc.mail.tasks.sweep", MAIL),
        ("accounts.tasks.purge_unverified", HOUSEKEEPING),
    ],
)
def test_mail_has_a_queue_of_its_own(task: str, queue: str) -> None:
    assert app.amqp.router.route({}, task)["queue"].name == queue


def test_a_job_is_json_and_leaves_no_result() -> None:
    content_type, encoding, body = dumps({"mail_id": "1"}, serializer="pickle")

    with pytest.raises(ContentDisallowed):
        loads(body, content_type, encoding, accept=app.conf.accept_content)

    assert app.conf.task_ignore_result is True
    assert app.conf.find_value_for_key("result_backend") is None


def test_a_job_survives_its_worker() -> None:
    assert app.conf.task_acks_late is True
    assert app.conf.task_reject_on_worker_lost is True
    assert app.conf.worker_prefetch_multiplier == 1

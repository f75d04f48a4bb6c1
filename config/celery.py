"""The job queue: the app, its queues, and everything that runs by the clock."""

import os
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import setup_logging
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# What came due while nothing could run it does not pile up: an entry that waited longer is dropped. The
# shortest wait is well above what the clocks of two machines may differ by.
SCHEDULE: dict[str, dict[str, Any]] = {
    # task                                   when                                   dropped after
    "authsvc.mail.tasks.sweep": {"schedule": 10.0, "options": {"expires": 120}},
    "accounts.tasks.purge_unverified": {"schedule": crontab(minute="7"), "options": {"expires": 1800}},
    "accounts.tasks.erase_due_accounts": {"schedule": crontab(minute="17"), "options": {"expires": 1800}},
    "authsvc.tokens.tasks.purge_expired": {"schedule": crontab(minute="27"), "options": {"expires": 1800}},
    "authsvc.tokens.tasks.rotate_signing_keys": {"schedule": crontab(minute="37"), "options": {"expires": 1800}},
    "authsvc.mail.tasks.purge": {"schedule": crontab(minute="47"), "options": {"expires": 1800}},
    "authsvc.idempotency.tasks.purge": {"schedule": crontab(minute="52"), "options": {"expires": 1800}},
}
MAIL = "authsvc.mail"
HOUSEKEEPING = "authsvc.housekeeping"

app = Celery("authsvc")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.update(
    beat_schedule={name: {"task": name, **entry} for name, entry in SCHEDULE.items()},
    beat_max_loop_interval=10,
    # Queues: mail never waits behind housekeeping, which one worker serves as well.
    task_queues=[Queue(MAIL), Queue(HOUSEKEEPING)],
    task_default_queue=HOUSEKEEPING,
    task_routes={f"authsvc.mail.tasks.{task}": {"queue": MAIL} for task in ("deliver", "announce_each", "sweep")},
    # Tasks are safe to run twice and name rows by id: a job is done when it is done, whoever dies meanwhile.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    result_backend=None,
    worker_prefetch_multiplier=1,
    worker_pool="prefork",  # the only one that can end a task at its time limit
    worker_concurrency=2,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    # A request that wakes delivery must not wait for a dead broker: the row is committed, the sweep finds it.
    task_publish_retry=False,
    broker_connection_timeout=0.5,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
)


@setup_logging.connect
def _keep_logging(**_sent: object) -> None:
    """Leave logging as Django's settings made it; that this is connected keeps Celery from its own."""

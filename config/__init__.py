"""The wiring. The Celery app is exported for `celery -A config` and for `shared_task`."""

from config.celery import app as celery_app

__all__ = ["celery_app"]

"""Periodic housekeeping of keys."""

from celery import shared_task

from authsvc.idempotency import reservation


@shared_task
def purge(**_from_newer_senders: object) -> None:
    """Delete the keys whose time is over."""
    reservation.purge()

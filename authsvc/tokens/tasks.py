"""Periodic housekeeping of credentials."""

from celery import shared_task

from authsvc.tokens.services import expiry


@shared_task
def purge_expired(**_from_newer_senders: object) -> None:
    """Delete the rows of sessions and one-time tokens that ended long ago."""
    expiry.purge()

"""Periodic housekeeping of credentials."""

from celery import shared_task

from audit.origin import Origin
from authsvc.tokens.services import expiry, keys


@shared_task
def purge_expired(**_from_newer_senders: object) -> None:
    """Delete the rows of sessions and one-time tokens that ended long ago; nonces and devices whose time is over."""
    expiry.purge()


@shared_task
def rotate_signing_keys(**_from_newer_senders: object) -> None:
    """Rotate the signing key when its month is over, and see that a next one is published."""
    keys.keep(origin=Origin.system("rotate_signing_keys"))

"""Periodic housekeeping of accounts."""

from celery import shared_task

from accounts.services import lifecycle, registration
from audit.origin import Origin


@shared_task
def purge_unverified(**_from_newer_senders: object) -> None:
    """Delete the accounts that nobody verified in time."""
    registration.purge_unverified(origin=Origin.system("purge_unverified"))


@shared_task
def erase_due_accounts(**_from_newer_senders: object) -> None:
    """Erase the deleted accounts whose waiting time is over."""
    lifecycle.erase_due(origin=Origin.system("erase_due_accounts"))

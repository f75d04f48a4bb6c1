"""What may change about a person without further proof."""

from django.db import transaction

from accounts.models import User
from audit import services as audit
from audit.events import EventType
from audit.origin import Origin


def update(
    user: User,
    *,
    origin: Origin,
    name: str | None = None,
    locale: str | None = None,
    event: EventType = EventType.ACCOUNT_PROFILE_UPDATED,
) -> User:
    """Change name or language, whichever is given; without a difference nothing is written."""
    wanted = {"name": name, "locale": locale}
    changed = [field for field, value in wanted.items() if value is not None and getattr(user, field) != value]
    if not changed:
        return user
    for field in changed:
        setattr(user, field, wanted[field])
    with transaction.atomic():
        user.save(update_fields=[*changed, "updated_at"])
        audit.record(
            event,
            origin=origin,
            subject=user.audit_key,
            metadata={"fields": ",".join(changed)},
        )
    return user

"""What may change about a person without further proof."""

from django.db import transaction

from accounts import selectors
from accounts.models import User
from audit import services as audit
from audit.events import EventType
from audit.origin import Origin
from authsvc.tokens import freshness
from authsvc.tokens.services.access import InvalidToken


def update(
    user: User,
    *,
    origin: Origin,
    name: str | None = None,
    locale: str | None = None,
    event: EventType = EventType.ACCOUNT_PROFILE_UPDATED,
) -> User:
    """Change name or language, whichever is given; without a difference nothing is written.

    It is the row that counts: what the caller was let in with may be a second old. Return the
    account as it is then. Raises `InvalidToken` where it is gone.
    """
    wanted = {field: value for field, value in (("name", name), ("locale", locale)) if value is not None}
    with transaction.atomic():
        holder = selectors.lock_user(user.pk)
        if holder is None:
            raise InvalidToken
        changed = [field for field, value in wanted.items() if getattr(holder, field) != value]
        if changed:
            for field in changed:
                setattr(holder, field, wanted[field])
            holder.save(update_fields=[*changed, "updated_at"])
            freshness.changed(holder.pk)
            audit.record(
                event,
                origin=origin,
                subject=holder.audit_key,
                metadata={"fields": ",".join(changed)},
            )
    return holder

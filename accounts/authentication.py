"""How staff prove who they are to the admin site."""

from dataclasses import replace
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest

from accounts import selectors
from accounts.models import Role, User
from audit import services as audit
from audit.events import EventType, Outcome
from audit.origin import Origin
from authsvc import hashing
from authsvc.addresses import InvalidAddress, canonical
from authsvc.errors import Unavailable
from authsvc.http.origin import origin_of

# No password is that long, in whatever form it is typed; what exceeds it needs no work.
_PASSWORD_BOUND = 1024


class AdminBackend(BaseBackend):
    """Django's authentication backend, for the admin's own sign-in page alone.

    Lets in active, verified administrators. Everybody else gets the same answer after the same
    work. When the pool for hashes is full, nobody is let in and the page says why; that is no
    failed attempt, so it is not recorded as one.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **_credentials: object,
    ) -> User | None:
        """Return the administrator whose address and password these are, or `None`."""
        if username is None or password is None:
            return None
        user = _user_by_email(username)
        try:
            fits = hashing.verify(password[:_PASSWORD_BOUND], None if user is None else user.password)
        except Unavailable as busy:
            if request is not None:
                messages.error(request, busy.message)
            return None
        origin = Origin.system("admin") if request is None else origin_of(request)
        reason = _reason_against(user, fits=fits)
        if user is None or reason is not None:
            _record_failure(user, reason, origin)
            return None
        audit.record(
            EventType.ACCOUNT_SIGNIN_SUCCEEDED,
            subject=user.audit_key,
            metadata={"via": "admin"},
            origin=replace(origin, actor_id=user.audit_key),
        )
        return user

    def get_user(self, user_id: UUID) -> User | None:
        """Return the owner of an admin session, as long as the site is open to them."""
        user = User.objects.filter(pk=user_id).first()
        return user if user is not None and _may_enter(user) else None


def _user_by_email(typed: str) -> User | None:
    try:
        return selectors.user_by_email(canonical(typed))
    except InvalidAddress:
        return None


def _may_enter(user: User) -> bool:
    return user.is_active and user.is_verified and user.role == Role.ADMIN


def _reason_against(user: User | None, *, fits: bool) -> str | None:
    """Return why somebody stays out: for the audit log, never for the page."""
    if user is None:
        return "unknown"
    if not fits:
        return "password"
    return None if _may_enter(user) else "not_admitted"


def _record_failure(user: User | None, reason: str | None, origin: Origin) -> None:
    audit.record(
        EventType.ACCOUNT_SIGNIN_FAILED,
        subject=None if user is None else user.audit_key,
        outcome=Outcome.FAILURE,
        metadata={"via": "admin", "reason": reason},
        origin=origin,
    )

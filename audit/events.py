"""The closed list of what the log can say."""

from enum import StrEnum


class EventType(StrEnum):
    """What happened: area, subject, verb. Values are never renamed or reused."""

    ACCOUNT_REGISTRATION_CREATED = "account.registration.created"
    ACCOUNT_REGISTRATION_REPEATED = "account.registration.repeated"
    ACCOUNT_REGISTRATION_CONTESTED = "account.registration.contested"
    ACCOUNT_REGISTRATION_REFUSED = "account.registration.refused"
    ACCOUNT_REGISTRATION_DROPPED = "account.registration.dropped"
    ACCOUNT_REGISTRATION_EXPIRED = "account.registration.expired"
    ACCOUNT_EMAIL_VERIFIED = "account.email.verified"
    ACCOUNT_EMAIL_VERIFICATION_REFUSED = "account.email.verification_refused"
    ACCOUNT_EMAIL_VERIFICATION_REQUESTED = "account.email.verification_requested"
    ACCOUNT_SIGNIN_SUCCEEDED = "account.signin.succeeded"
    ACCOUNT_SIGNIN_FAILED = "account.signin.failed"
    ACCOUNT_REAUTHENTICATION_SUCCEEDED = "account.reauthentication.succeeded"
    ACCOUNT_REAUTHENTICATION_FAILED = "account.reauthentication.failed"
    ACCOUNT_PROFILE_UPDATED = "account.profile.updated"
    ACCOUNT_ADMIN_CREATED = "account.admin.created"
    ACCOUNT_UPDATED_BY_STAFF = "account.updated_by_staff"
    ACCOUNT_ROLE_CHANGED = "account.role.changed"
    ACCOUNT_DEACTIVATED = "account.deactivated"
    ACCOUNT_ACTIVATED = "account.activated"
    ACCOUNT_SIGNIN_DISOWNED = "account.signin.disowned"
    ACCOUNT_PASSWORD_RESET_REQUESTED = "account.password.reset_requested"  # noqa: S105 - names of events, no secrets
    ACCOUNT_PASSWORD_RESET = "account.password.reset"  # noqa: S105
    ACCOUNT_PASSWORD_CHANGED = "account.password.changed"  # noqa: S105
    ACCOUNT_PASSWORD_CHANGE_FAILED = "account.password.change_failed"  # noqa: S105
    ACCOUNT_EMAIL_CHANGE_REQUESTED = "account.email.change_requested"
    ACCOUNT_EMAIL_CHANGE_REFUSED = "account.email.change_refused"
    ACCOUNT_EMAIL_CHANGED = "account.email.changed"
    ACCOUNT_EMAIL_CHANGE_UNDONE = "account.email.change_undone"
    ACCOUNT_MAGIC_LINK_REQUESTED = "account.magic_link.requested"
    ACCOUNT_MAGIC_LINK_REFUSED = "account.magic_link.refused"
    ACCOUNT_ERASURE_REQUESTED = "account.erasure.requested"
    ACCOUNT_RESTORED = "account.restored"
    ACCOUNT_ERASED = "account.erased"
    ACCOUNT_EXPORTED = "account.exported"
    DEVICE_REMOVED = "device.removed"
    SESSION_REFRESH_REUSED = "session.refresh.reused"
    SESSION_REFRESH_REFUSED = "session.refresh.refused"
    SESSION_ENDED = "session.ended"
    SESSION_OTHERS_ENDED = "session.others_ended"
    SESSION_ALL_ENDED = "session.all_ended"
    SESSION_REVOKED_BY_CLIENT = "session.revoked_by_client"
    KEYS_ROTATED = "keys.rotated"
    MACHINE_CLIENT_CREATED = "machine.client.created"
    MACHINE_CLIENT_DISABLED = "machine.client.disabled"
    MACHINE_KEY_ADDED = "machine.key.added"
    MACHINE_KEY_REVOKED = "machine.key.revoked"
    MACHINE_REQUEST_REFUSED = "machine.request.refused"


class Outcome(StrEnum):
    """How it went: done, tried with wrong proof, or not allowed."""

    SUCCESS = "success"
    FAILURE = "failure"
    REFUSED = "refused"

"""The codes that clients branch on. A line may be added here; none is ever changed."""

from itertools import chain

from django.apps import apps

from authsvc.errors import DomainError, ErrorCode, Kind
from authsvc.http.exceptions import FIELD_MESSAGES, INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, OF_DRF, STATUS_OF_KIND

FROZEN = {
    400: {
        "invalid_json",
        "required",
        "invalid_type",
        "invalid_format",
        "invalid_character",
        "too_short",
        "too_long",
        "out_of_range",
        "unknown_field",
        "duplicate_field",
        "invalid_token",
        "invalid_code",
        "invalid_redirect",
        "password_incorrect",
        "password_too_short",
        "password_too_long",
        "password_no_upper",
        "password_no_lower",
        "password_no_digit",
        "password_no_special",
        "password_repetition",
        "password_common",
        "password_similar",
        "password_breached",
    },
    401: {"not_authenticated", "invalid_token", "invalid_credentials", "invalid_signature"},
    403: {
        "permission_denied",
        "csrf_failed",
        "insecure_transport",
        "email_not_verified",
        "reauthentication_required",
        "mfa_required",
    },
    404: {"not_found"},
    405: {"method_not_allowed"},
    406: {"not_acceptable"},
    409: {"email_taken", "account_exists", "last_login_method", "already_exists", "idempotency_in_progress"},
    413: {"body_too_large"},
    415: {"unsupported_media_type"},
    422: {"idempotency_mismatch"},
    429: {"rate_limited", "account_locked"},
    500: {"internal_error"},
    503: {"unavailable"},
}
SEEN = {
    "body_too_large",
    "csrf_failed",
    "duplicate_field",
    "email_not_verified",
    "email_taken",
    "insecure_transport",
    "internal_error",
    "invalid_character",
    "invalid_credentials",
    "invalid_format",
    "invalid_json",
    "invalid_token",
    "invalid_type",
    "method_not_allowed",
    "not_acceptable",
    "not_authenticated",
    "not_found",
    "out_of_range",
    "password_breached",
    "password_common",
    "password_incorrect",
    "password_no_digit",
    "password_no_lower",
    "password_no_special",
    "password_no_upper",
    "password_repetition",
    "password_similar",
    "password_too_long",
    "password_too_short",
    "permission_denied",
    "reauthentication_required",
    "required",
    "too_long",
    "too_short",
    "unavailable",
    "unknown_field",
    "unsupported_media_type",
}
OURS = ("accounts.", "authsvc.", "audit.")


def refusals() -> list[type[DomainError]]:
    """Every refusal of the domain; the app registry has imported all of their modules."""
    assert apps.ready
    found: list[type[DomainError]] = []
    open_ends = [DomainError]
    while open_ends:
        below = open_ends.pop().__subclasses__()
        open_ends.extend(below)
        found.extend(kind for kind in below if kind.__module__.startswith(OURS))
    return found


def test_every_code_in_use_is_on_the_frozen_list() -> None:
    assert {code.value for code in ErrorCode} <= set(chain.from_iterable(FROZEN.values()))


def test_no_code_that_clients_have_seen_goes_away() -> None:
    assert {code.value for code in ErrorCode} >= SEEN


def test_a_code_is_spelled_like_its_name() -> None:
    assert {code.name.lower(): code.value for code in ErrorCode} == {code.value: code.value for code in ErrorCode}


def test_every_kind_has_one_status() -> None:
    assert {kind.name: status for kind, status in STATUS_OF_KIND.items()} == {
        "INVALID": 400,
        "UNAUTHENTICATED": 401,
        "FORBIDDEN": 403,
        "MISSING": 404,
        "CONFLICT": 409,
        "OVERSIZE": 413,
        "MISMATCH": 422,
        "UNAVAILABLE": 503,
    }
    assert set(STATUS_OF_KIND) == set(Kind)


def test_every_refusal_answers_its_codes_with_the_status_they_are_frozen_to() -> None:
    found = refusals()

    assert len(found) >= 10
    for refusal in found:
        for code in {refusal.code, *refusal.codes}:
            assert code.value in FROZEN[STATUS_OF_KIND[refusal.kind]], refusal
        assert str(refusal.message), refusal


def test_every_failure_of_the_framework_answers_with_the_status_its_code_is_frozen_to() -> None:
    for failure, problem in OF_DRF.items():
        assert problem.code.value in FROZEN[failure.status_code], failure
    for status, problem in ((500, INTERNAL), (404, NOT_FOUND), (405, METHOD_NOT_ALLOWED)):
        assert problem.code.value in FROZEN[status]


def test_every_problem_of_a_field_is_a_400() -> None:
    assert {code.value for code in FIELD_MESSAGES} <= FROZEN[400]

"""Any exception becomes an answer here, and nowhere else."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.settings import api_settings

from authsvc.errors import DomainError, ErrorCode, Kind, Problem, Unavailable
from authsvc.http.envelope import CHALLENGE, SIGNATURE_CHALLENGE, error_body
from authsvc.http.parsing import NotAForm

log = logging.getLogger(__name__)

_READ_ONLY = "25006"  # PostgreSQL's read_only_sql_transaction

STATUS_OF_KIND = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.MISSING: 404,
    Kind.CONFLICT: 409,
    Kind.OVERSIZE: 413,
    Kind.MISMATCH: 422,
    Kind.UNAVAILABLE: 503,
}
INTERNAL = Problem(ErrorCode.INTERNAL_ERROR, _("Something went wrong on our side."))
NOT_FOUND = Problem(ErrorCode.NOT_FOUND, _("There is nothing here."))
METHOD_NOT_ALLOWED = Problem(ErrorCode.METHOD_NOT_ALLOWED, _("This method is not allowed here."))
_DENIED = Problem(ErrorCode.PERMISSION_DENIED, _("You may not do this."))

# What DRF's own exceptions mean in our terms; a problem's text is ours, so that it is translated.
OF_DRF: dict[type[drf.APIException], Problem] = {
    drf.ParseError: Problem(ErrorCode.INVALID_JSON, _("The body is not valid JSON.")),
    drf.NotAuthenticated: Problem(ErrorCode.NOT_AUTHENTICATED, _("Sign in first.")),
    drf.AuthenticationFailed: Problem(ErrorCode.INVALID_TOKEN, _("The token is not valid or no longer valid.")),
    drf.PermissionDenied: _DENIED,
    drf.NotFound: NOT_FOUND,
    drf.MethodNotAllowed: METHOD_NOT_ALLOWED,
    drf.NotAcceptable: Problem(ErrorCode.NOT_ACCEPTABLE, _("This can only be answered as application/json.")),
    drf.UnsupportedMediaType: Problem(
        ErrorCode.UNSUPPORTED_MEDIA_TYPE, _("Send the body as application/json in UTF-8.")
    ),
    NotAForm: Problem(
        ErrorCode.UNSUPPORTED_MEDIA_TYPE, _("Send the body as application/x-www-form-urlencoded in UTF-8.")
    ),
}

FIELD_MESSAGES = {
    ErrorCode.REQUIRED: _("This is required."),
    ErrorCode.INVALID_TYPE: _("This has the wrong type."),
    ErrorCode.INVALID_FORMAT: _("This does not have the form it should have."),
    ErrorCode.INVALID_CHARACTER: _("This has a character that is not allowed."),
    ErrorCode.TOO_SHORT: _("This is too short."),
    ErrorCode.TOO_LONG: _("This is too long."),
    ErrorCode.OUT_OF_RANGE: _("This is out of range."),
    ErrorCode.UNKNOWN_FIELD: _("There is no such field here."),
    ErrorCode.DUPLICATE_FIELD: _("This is given twice."),
}

# DRF's field errors by the code it gives them; our own fields give ours.
_OF_FIELD_CODE = {
    "null": ErrorCode.INVALID_TYPE,
    "invalid": ErrorCode.INVALID_TYPE,
    "blank": ErrorCode.TOO_SHORT,
    "min_length": ErrorCode.TOO_SHORT,
    "max_length": ErrorCode.TOO_LONG,
    "min_value": ErrorCode.OUT_OF_RANGE,
    "max_value": ErrorCode.OUT_OF_RANGE,
    "invalid_choice": ErrorCode.INVALID_FORMAT,
}


class BodyTooLarge(DomainError):
    """The body is over the limit."""

    code = ErrorCode.BODY_TOO_LARGE
    kind = Kind.OVERSIZE
    message = _("The body is too large.")


def handle(failure: Exception, context: Mapping[str, Any]) -> Response:
    """Answer for an exception that a view raised (DRF's `EXCEPTION_HANDLER`)."""
    request: HttpRequest = context["request"]
    status, problems, headers = describe(failure, request)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    return Response(error_body(request, status=status, problems=problems), status=status, headers=headers)


def describe(failure: Exception, request: HttpRequest) -> tuple[int, list[Problem], dict[str, str]]:
    """Return status, problems and headers for any exception. What nobody foresaw is logged, not told."""
    match failure:
        case DomainError():
            return _of_domain(failure)
        case drf.APIException():
            return _of_drf(failure)
        case Http404():
            return 404, [NOT_FOUND], {}
        case PermissionDenied():
            return 403, [_DENIED], {}
        case OperationalError() | InterfaceError() | InternalError() if _is_outage(failure):
            log.warning("database unavailable", extra={"failure": type(failure.__cause__ or failure).__name__})
            return _of_domain(Unavailable())
    log.error("unexpected failure", exc_info=failure, extra={"path": request.path})
    return 500, [INTERNAL], {}


def _is_outage(failure: Exception) -> bool:
    """Tell whether the database is away, or takes no writes, as a replica that is about to be promoted."""
    return not isinstance(failure, InternalError) or getattr(failure.__cause__, "sqlstate", "") == _READ_ONLY


def _of_domain(failure: DomainError) -> tuple[int, list[Problem], dict[str, str]]:
    headers = {}
    if failure.retry_after is not None:
        headers["Retry-After"] = str(failure.retry_after)
    if failure.kind is Kind.UNAUTHENTICATED:
        is_signature = failure.code is ErrorCode.INVALID_SIGNATURE
        headers["WWW-Authenticate"] = SIGNATURE_CHALLENGE if is_signature else CHALLENGE
    return STATUS_OF_KIND[failure.kind], failure.problems, headers


def _of_drf(failure: drf.APIException) -> tuple[int, list[Problem], dict[str, str]]:
    if isinstance(failure, drf.ValidationError):
        return 400, list(_field_problems(failure.get_full_details())), {}
    problem = OF_DRF.get(type(failure))
    if problem is None:
        log.error("unexpected failure", exc_info=failure)
        return 500, [INTERNAL], {}
    headers = {"WWW-Authenticate": CHALLENGE} if failure.status_code == HTTPStatus.UNAUTHORIZED else {}
    return failure.status_code, [problem], headers


def _field_problems(details: object, path: str = "") -> Iterator[Problem]:
    """Flatten DRF's nested details to one problem each, the field as a dotted path."""
    if isinstance(details, Mapping) and isinstance(details.get("code"), str):
        code = _OF_FIELD_CODE.get(details["code"]) or ErrorCode(details["code"])
        yield Problem(code, FIELD_MESSAGES[code], path or None)
    elif isinstance(details, Mapping):
        for name, inner in details.items():
            place = path if name == api_settings.NON_FIELD_ERRORS_KEY else f"{path}.{name}".lstrip(".")
            yield from _field_problems(inner, place)
    elif isinstance(details, Iterable):
        for inner in details:
            yield from _field_problems(inner, path)

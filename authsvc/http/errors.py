"""What answers where no view does: unknown paths, refused requests, failures."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from authsvc.errors import ErrorCode, Problem, Unavailable
from authsvc.http.envelope import error_response
from authsvc.http.exceptions import INTERNAL, NOT_FOUND, describe

_API = ("/api/", "/.well-known/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - named by Django
    """Answer a request that Django refused to look into (`handler400`)."""
    return refuse(request, 400, Problem(ErrorCode.INVALID_FORMAT, _("The request is not understood.")))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - named by Django
    """Answer where nothing may be seen (`handler403`)."""
    return refuse(request, 403, Problem(ErrorCode.PERMISSION_DENIED, _("You may not do this.")))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - named by Django
    """Answer an unknown path (`handler404`)."""
    return refuse(request, 404, NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a failure of ours, telling nothing of it; where something is missing, when to come back (`handler500`)."""
    failure = sys.exc_info()[1]
    if not isinstance(failure, OperationalError | InterfaceError | Unavailable):
        return refuse(request, 500, INTERNAL)
    status, problems, headers = describe(failure, request)
    answer = refuse(request, status, problems[0])
    for name, value in headers.items():
        answer.headers[name] = value
    return answer


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Answer a form that did not come from a page of ours (`CSRF_FAILURE_VIEW`)."""
    return refuse(request, 403, Problem(ErrorCode.CSRF_FAILED, _("This form has expired. Load the page again.")))


def refuse(request: HttpRequest, status: int, problem: Problem) -> HttpResponse:
    """Answer a page to who asks for one outside of the API, else the envelope."""
    wants_page = "text/html" in request.headers.get("Accept", "") and not request.path_info.startswith(_API)
    if not wants_page:
        return error_response(request, status=status, problems=[problem])
    context = {"title": str(problem.message), "message": "", "request_id": getattr(request, "request_id", "")}
    answer = render(request, "authsvc/error.html", context, status=status)
    answer.headers["Cache-Control"] = "no-store"
    return answer

"""The project's routes, and some that fail in ways that none of ours should."""

from typing import NoReturn

from django.db import OperationalError
from django.http import HttpRequest
from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from authsvc.http.views import ApiView
from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as ours

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

SECRET = "hunter2 at db.internal:5432"


class FailingView(ApiView):
    """Fails."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> NoReturn:
        """Fail in a view of the API."""
        raise RuntimeError(SECRET)


def failing(request: HttpRequest) -> NoReturn:
    """Fail in a view of Django."""
    raise RuntimeError(SECRET)


def cut_off(request: HttpRequest) -> NoReturn:
    """Fail as a view of Django does without a database."""
    raise OperationalError(SECRET)


urlpatterns = [
    path("api/v1/failing", FailingView.as_view()),
    path("api/v1/failing-plainly", failing),
    path("api/v1/cut-off", cut_off),
    path(".well-known/failing", failing),
    path("failing", failing),
    *ours,
]

"""The page that the verification mail links to."""

import re

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from accounts.models import User
from accounts.services import registration
from authsvc.errors import DomainError
from authsvc.http.exceptions import describe
from authsvc.http.origin import origin_of

PASTED_MAX_LENGTH = 2_000

_TOKEN_IN_LINK = re.compile(r"[#?&]token=([^&#]*)")


class VerifyEmailPage(View):
    """Confirm an address, or refuse the registration, in two posts that a mail scanner never sends.

    The link carries its token in the fragment, so GET knows nothing and changes nothing. The page
    posts the token to itself; the answer shows name, address and consequence; only the button there
    acts. No URL that reaches a server, and so no log, ever holds the token.
    """

    http_method_names = ("get", "head", "post")

    @method_decorator(sensitive_post_parameters("token", "password"))
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """Keep every answer out of caches and referrers."""
        answer = super().dispatch(request, *args, **kwargs)
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Referrer-Policy"] = "no-referrer"
        return answer

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the page that turns the fragment into a form post."""
        return render(request, "accounts/verify_email.html")

    @sensitive_variables()
    def post(self, request: HttpRequest) -> HttpResponse:
        """Show what the link is about, or do what its reader chose."""
        token = token_of(request.POST.get("token", ""))
        try:
            person = registration.peek_verification(token=token)
        except (DomainError, OperationalError, InterfaceError) as refusal:
            return self._refused(request, refusal, "accounts/verify_email.html", {})
        if person.is_verified:
            return self._done(request)
        context = {"person": person, "token": token, "contested": not person.has_usable_password()}
        try:
            return self._act(request, token, person) or render(request, "accounts/verify_email_confirm.html", context)
        except (DomainError, OperationalError, InterfaceError) as refusal:
            return self._refused(request, refusal, "accounts/verify_email_confirm.html", context)

    @sensitive_variables()
    def _act(self, request: HttpRequest, token: str, person: User) -> HttpResponse | None:
        origin = origin_of(request)
        match request.POST.get("action"):
            case "confirm":
                password = None if person.has_usable_password() else request.POST.get("password") or None
                registration.verify_email(token=token, password=password, origin=origin)
                return self._done(request)
            case "drop":
                registration.drop_registration(token=token, origin=origin)
                return self._done(request, dropped=True)
        return None

    def _done(self, request: HttpRequest, *, dropped: bool = False) -> HttpResponse:
        context = {"dropped": dropped, "sign_in_url": settings.FRONTEND_URL}
        return render(request, "accounts/verify_email_done.html", context)

    def _refused(
        self, request: HttpRequest, refusal: Exception, template: str, context: dict[str, object]
    ) -> HttpResponse:
        status, problems, headers = describe(refusal, request)
        asks_password = any(problem.field == "password" for problem in problems)
        context = {**context, "problems": problems, "contested": context.get("contested") or asks_password}
        answer = render(request, template, context, status=status)
        for name, value in headers.items():
            answer.headers[name] = value
        return answer


def token_of(pasted: str) -> str:
    """Return the token of a pasted link, or the text itself; mail programs' line breaks are dropped."""
    text = "".join(pasted[:PASTED_MAX_LENGTH].split())
    link = _TOKEN_IN_LINK.search(text)
    return link.group(1) if link else text

"""What every page that a mailed link opens has in common."""

import re
from http import HTTPStatus
from typing import ClassVar

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from audit.origin import Origin
from authsvc.errors import DomainError, ErrorCode, Text
from authsvc.http.exceptions import describe
from authsvc.http.origin import origin_of

PASTED_MAX_LENGTH = 2_000

_TOKEN_IN_LINK = re.compile(r"[#?&]token=([^&#]*)")
_PASSWORD_FIELDS = {"password", "newPassword"}
REFUSALS = (DomainError, OperationalError, InterfaceError)
OPEN = "accounts/links/_open.html"
ACT = "accounts/links/_act.html"
DONE = "accounts/links/_done.html"

Context = dict[str, object]


class Page(View):
    """A form in a browser: CSRF-protected like every page, in no cache, telling nobody where its reader comes from.

    The words of a page are in its `template`, which extends the `layout` that the page is shown in.
    """

    http_method_names = ("get", "head", "post")
    opens: ClassVar[str] = OPEN
    template: ClassVar[str]
    title: ClassVar[Text]
    done_title: ClassVar[Text]

    @method_decorator(sensitive_post_parameters("token", "password"))
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """Keep every answer out of caches and referrers."""
        answer = super().dispatch(request, *args, **kwargs)
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Referrer-Policy"] = "no-referrer"
        return answer

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the page as it is opened."""
        return self.show(request, self.opens, {})

    def show(self, request: HttpRequest, layout: str, context: Context) -> HttpResponse:
        """Answer with the page in one of its layouts."""
        return render(request, self.template, {"layout": layout, "title": self.title, **context})

    def done(self, request: HttpRequest, context: Context) -> HttpResponse:
        """Answer with the last page, which leads to the sign-in of the front end, where there is one."""
        return self.show(request, DONE, {"title": self.done_title, "sign_in_url": settings.FRONTEND_URL, **context})

    @sensitive_variables()
    def refused(self, request: HttpRequest, refusal: Exception, layout: str, shown: Context) -> HttpResponse:
        """Say what is wrong: with the form again, or where the link is dead, with the way to another one."""
        status, problems, headers = describe(refusal, request)
        is_dead = any(problem.code is ErrorCode.INVALID_TOKEN for problem in problems)
        context = {
            **shown,
            "problems": problems,
            "password_refused": any(problem.field in _PASSWORD_FIELDS for problem in problems),
            "try_again": status >= HTTPStatus.INTERNAL_SERVER_ERROR,
            "sign_in_url": settings.FRONTEND_URL,
        }
        answer = self.show(request, OPEN if is_dead else layout, context)
        answer.status_code = status
        for name, value in headers.items():
            answer.headers[name] = value
        return answer


class LinkPage(Page):
    """Says what a link is about, and does it in a second post, which no mail scanner sends.

    The link carries its token in the fragment, so GET knows nothing and changes nothing. The page
    posts the token to itself; the answer shows whose account it is and what will happen; only a
    button there acts. No URL that reaches a server, and so no log, ever holds the token.
    """

    actions: ClassVar[tuple[str, ...]] = ("confirm",)

    def peek(self, *, token: str) -> Context | None:
        """Return what the page shows of a link, `None` where all is done already.

        Changes nothing. Raises `accounts.services.links.InvalidLink`.
        """
        raise NotImplementedError

    def act(self, action: str, *, token: str, form: QueryDict, origin: Origin) -> Context:
        """Do what the reader chose, one of `actions`; return what the last page shows.

        Raises the `DomainError`s of the service behind it.
        """
        raise NotImplementedError

    @sensitive_variables()
    def post(self, request: HttpRequest) -> HttpResponse:
        """Show what the link is about, or do what its reader chose."""
        token = token_of(request.POST.get("token", ""))
        action = request.POST.get("action", "")
        try:
            shown = self.peek(token=token)
        except REFUSALS as refusal:
            return self.refused(request, refusal, OPEN, {"token": token})
        if shown is None:
            return self.done(request, {})
        shown["token"] = token
        if action not in self.actions:
            return self.show(request, ACT, shown)
        try:
            done = self.act(action, token=token, form=request.POST, origin=origin_of(request))
        except REFUSALS as refusal:
            return self.refused(request, refusal, ACT, shown)
        return self.done(request, done)


def token_of(pasted: str) -> str:
    """Return the token of a pasted link, or the text itself; mail programs' line breaks are dropped."""
    text = "".join(pasted[:PASTED_MAX_LENGTH].split())
    link = _TOKEN_IN_LINK.search(text)
    return link.group(1) if link else text

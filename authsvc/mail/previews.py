"""Pages that show every mail we send, filled with sample data, in every language."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render as render_page
from django.urls import URLPattern, path
from django.utils.translation import get_language
from django.views.decorators.clickjacking import xframe_options_sameorigin

from authsvc.mail.render import Sample, render

# The mail may style itself and open its links at the top, where the click leads in life; it runs
# nothing, loads nothing, and has no origin from which it could read these pages.
BODY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; form-action 'none'; base-uri 'none'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)


def _nothing(_request: HttpRequest) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Previews:
    """A list of mails, a page for each and language, and what its frame holds."""

    samples: Sequence[Sample]
    base: str  # the template of the pages around
    name: str  # of the routes, with their namespace
    context: Callable[[HttpRequest], dict[str, Any]] = _nothing

    def urls(self, guard: Callable[..., Any]) -> list[URLPattern]:
        """Return the routes, every view wrapped by `guard`, which says who may see them."""
        name = self.name.rpartition(":")[2]
        mail = "previews/<str:language>/<path:template>"
        return [
            path("previews/", guard(self.index), name=f"{name}s"),
            path(f"{mail}/body", xframe_options_sameorigin(guard(self.body)), name=f"{name}-body"),
            path(mail, guard(self.mail), name=name),
        ]

    def index(self, request: HttpRequest) -> HttpResponse:
        """List the mails, with a link for each language."""
        language = get_language() or settings.LANGUAGE_CODE
        mails = [
            {"template": sample.template, "subject": render(**sample._asdict(), language=language).subject}
            for sample in self.samples
        ]
        return self._page(request, "authsvc/previews.html", {"mails": mails})

    def mail(self, request: HttpRequest, language: str, template: str) -> HttpResponse:
        """Show one mail in one language, its HTML in a frame of its own."""
        sample = self._sample(language, template)
        mail = render(**sample._asdict(), language=language)
        return self._page(
            request, "authsvc/preview.html", {"mail": mail, "template": template, "mail_language": language}
        )

    def body(self, _request: HttpRequest, language: str, template: str) -> HttpResponse:
        """Answer with the HTML of one mail for the frame: sandboxed, scriptless, without a network."""
        html = render(**self._sample(language, template)._asdict(), language=language).html
        return framed(html)

    def _sample(self, language: str, template: str) -> Sample:
        found = next((sample for sample in self.samples if sample.template == template), None)
        if found is None or language not in dict(settings.LANGUAGES):
            raise Http404
        return found

    def _page(self, request: HttpRequest, page: str, values: dict[str, Any]) -> HttpResponse:
        names = {"list_url": f"{self.name}s", "mail_url": self.name, "body_url": f"{self.name}-body"}
        return render_page(
            request,
            page,
            {**self.context(request), "base": self.base, "languages": settings.LANGUAGES, **names, **values},
        )


def framed(html: str) -> HttpResponse:
    """Answer with the HTML of a mail for the frame that shows it."""
    html = html.replace("<head>", '<head><base target="_top">', 1)
    return HttpResponse(html, headers={"Content-Security-Policy": BODY_POLICY})

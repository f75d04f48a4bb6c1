"""From a template, a language and a context to the mail that is sent."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.template import Context, Engine
from django.utils import translation

_NAME_LENGTH = 40
_NAME_DIGITS = 4
_JOINING = frozenset(" '\u2019-.,")
_DOT_WITHIN = re.compile(r"\.(?! |$)")  # "example.com", not "J. R. Smith Jr."


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail in both of its forms."""

    subject: str
    text: str
    html: str


class Sample(NamedTuple):
    """A mail as an example shows it."""

    template: str
    context: Mapping[str, str]


def render(*, template: str, language: str, context: Mapping[str, str]) -> Rendered:
    """Render subject, text and HTML in one language.

    Values under `name` and `…_name` are somebody's own words, and whoever registers somebody
    else's address chooses them: see `presentable`.
    """
    values = {key: presentable(value) if _is_name(key) else value for key, value in context.items()}
    values["site"] = urlsplit(settings.FRONTEND_URL or settings.PUBLIC_URL).netloc
    with translation.override(language):
        text = _fill(f"{template}.txt", values, html=False).strip() + "\n"
        return Rendered(
            subject=_one_line(_fill(f"{template}.subject.txt", values, html=False)),
            text=text,
            html=_fill(f"{template}.html", {**values, "preheader": _preheader(text)}, html=True).strip() + "\n",
        )


def presentable(name: str) -> str:
    """Return a name that may stand in a mail, or nothing where it could carry a message of its own.

    A registration form that mails strangers is an open relay for whatever the name may hold.
    Mail programs turn "example.com" into a link without any markup, and people call telephone
    numbers; so a name with anything but letters and what joins them, with more than four digits,
    or longer than 40 characters is left out, and the mail greets without one. Cutting out the bad
    parts would leave the rest of a stranger's sentence in our mail.
    """
    name = unicodedata.normalize("NFC", name).strip()
    plain = all(_is_plain(character) for character in name) and any(character.isalpha() for character in name)
    digits = sum(character.isdecimal() for character in name)
    if not plain or digits > _NAME_DIGITS or len(name) > _NAME_LENGTH or _DOT_WITHIN.search(name):
        return ""
    return name


def _preheader(text: str) -> str:
    """Return what mail programs show beside the subject: the first paragraph after the greeting, without links."""
    _greeting, _gap, rest = text.partition("\n\n")
    return " ".join(re.sub(r"\S+://\S+", "", rest.partition("\n\n")[0]).split())


def _is_plain(character: str) -> bool:
    """Tell a letter, mark or digit of any script, or what joins the parts of a name."""
    return unicodedata.category(character)[0] in "LM" or character.isdecimal() or character in _JOINING


def _is_name(key: str) -> bool:
    return key == "name" or key.endswith("_name")


def _fill(path: str, values: Mapping[str, str], *, html: bool) -> str:
    return Engine.get_default().get_template(path).render(Context(dict(values), autoescape=html))


def _one_line(text: str) -> str:
    """A subject is one header: no line break, no control character survives."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())

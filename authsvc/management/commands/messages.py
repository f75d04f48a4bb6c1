"""`manage.py messages`: keeps the catalogues in step with the code, without the gettext programs."""

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[3]
LOCALES = ROOT / "authsvc" / "locale"
LANGUAGES = ("de", "es", "fr")
_PACKAGES = ("accounts", "audit", "authsvc", "config")
_PLURAL = (1, 2)
_CONTEXT = ((1, "c"), 2)
_CONTEXT_PLURAL = ((1, "c"), 2, 3)
_KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": _PLURAL,
    "ngettext_lazy": _PLURAL,
    "pgettext": _CONTEXT,
    "pgettext_lazy": _CONTEXT,
    "npgettext": _CONTEXT_PLURAL,
    "npgettext_lazy": _CONTEXT_PLURAL,
}


class Command(BaseCommand):
    """Extracts, updates and compiles; with `--check` changes nothing and tells what is missing."""

    help = "Update the message catalogues from the code and compile them."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add `--check`."""
        parser.add_argument(
            "--check", action="store_true", help="change nothing; exit 1 where a text is not translated or compiled"
        )

    def handle(self, *, check: bool, **_options: object) -> None:
        """Bring every catalogue up to date, or raise `CommandError` with what is wrong with them."""
        template = _extracted()
        if not check:
            for language in LANGUAGES:
                _update(language, template)
        problems = [problem for language in LANGUAGES for problem in _problems(language, template)]
        if problems and check:
            raise CommandError("\n".join(problems))
        self.stderr.write("\n".join(problems) or f"{len(template)} messages, all translated.")


def _extracted() -> Catalog:
    """Return every message of the code, in the order of the files."""
    catalog = Catalog(project="authsvc", fuzzy=False)
    for path in _sources():
        text = path.read_text(encoding="utf-8")
        # Within parentheses the tokenizer does not mind how a template is indented.
        code = text if path.suffix == ".py" else "(" + templatize(text, origin=str(path)) + "\n)"
        found = extract("python", BytesIO(code.encode()), keywords=_KEYWORDS, comment_tags=("Translators:",))
        for line, message, comments, context in found:
            place = [(path.relative_to(ROOT).as_posix(), line)]
            catalog.add(message, locations=place, auto_comments=comments, context=context)
    return catalog


def _sources() -> Iterator[Path]:
    for package in _PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            inside = path.relative_to(ROOT).parts
            is_code = path.suffix == ".py" and "migrations" not in inside
            if is_code or (path.suffix in {".html", ".txt"} and "templates" in inside):
                yield path


def _update(language: str, template: Catalog) -> None:
    catalog = _read(language)
    catalog.update(template, no_fuzzy_matching=True, update_header_comment=False, update_creation_date=False)
    _po(language).parent.mkdir(parents=True, exist_ok=True)
    with _po(language).open("wb") as file:
        write_po(file, catalog, width=100, include_lineno=False, ignore_obsolete=True)
    _mo(language).write_bytes(_compiled(_read(language)))


def _problems(language: str, template: Catalog) -> Iterator[str]:
    catalog = _read(language)
    for message in template:
        if not message.id:
            continue
        known = catalog.get(message.id, message.context)
        if known is None or not _is_translated(known):
            yield f"{language}: not translated: {message.id!r}"
        else:
            yield from (f"{language}: {error}: {message.id!r}" for error in known.check(catalog))
    for message in catalog:
        if message.id and template.get(message.id, message.context) is None:
            yield f"{language}: no longer used: {message.id!r}"
    if not _mo(language).exists() or _mo(language).read_bytes() != _compiled(catalog):
        yield f"{language}: the compiled catalogue is stale"


def _is_translated(message: Message) -> bool:
    texts = [message.string] if isinstance(message.string, str) else list(message.string or [""])
    return not message.fuzzy and all(texts)


def _read(language: str) -> Catalog:
    if not _po(language).exists():
        return _new(language)
    with _po(language).open("rb") as file:
        return read_po(file, locale=language)


def _new(language: str) -> Catalog:
    today = datetime.now(UTC)
    return Catalog(
        locale=language,
        project="authsvc",
        version="1",
        header_comment="# What the service says, updated by `manage.py messages`.",
        msgid_bugs_address="authsvc",
        last_translator="authsvc",
        language_team=language,
        creation_date=today,
        revision_date=today,
        fuzzy=False,
    )


def _compiled(catalog: Catalog) -> bytes:
    buffer = BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def _po(language: str) -> Path:
    return LOCALES / language / "LC_MESSAGES" / "django.po"


def _mo(language: str) -> Path:
    return _po(language).with_suffix(".mo")

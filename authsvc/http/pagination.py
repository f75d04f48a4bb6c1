"""Lists, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypedDict, TypeVar

from django.db.models import Model, QuerySet
from django.utils.translation import gettext_lazy as _

from authsvc.errors import DomainError, ErrorCode
from authsvc.http.serializers import Input, NumberField

LIMIT = 20
LIMIT_MAX = 100
_PAGE_MAX = 1_000_000

Row = TypeVar("Row", bound=Model)


class PageOutOfRange(DomainError):
    """The list has no such page. Its first one always is there, be it empty."""

    code = ErrorCode.OUT_OF_RANGE
    message = _("This is out of range.")
    field = "page"


class Pagination(TypedDict):
    """Where in a list its part stands."""

    page: int
    limit: int
    total: int
    totalPages: int


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One part of a list."""

    rows: Sequence[Row]
    pagination: Pagination


class PageQuery(Input):
    """Which part of a list is wanted."""

    page = NumberField(min_value=1, max_value=_PAGE_MAX, default=1)
    limit = NumberField(min_value=1, max_value=LIMIT_MAX, default=LIMIT)


def page_of(rows: QuerySet[Row], *, page: int, limit: int) -> Page[Row]:
    """Return one page of rows that are in a total order. Raises `PageOutOfRange`."""
    total = rows.count()
    pages = -(-total // limit)
    if page > max(pages, 1):
        raise PageOutOfRange
    start = (page - 1) * limit
    pagination: Pagination = {"page": page, "limit": limit, "total": total, "totalPages": pages}
    return Page(list(rows[start : start + limit]) if total else [], pagination)

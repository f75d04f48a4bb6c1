"""The document against the service: thousands of requests made from it, good ones and bad ones, none at random."""

import warnings
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
from coverage import Coverage
from coverage.exceptions import CoverageWarning
from django.core import signals
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from accounts.models import User
from audit.origin import Origin
from authsvc.tokens.services import sessions
from authsvc.tokens.services.known_devices import Presented
from tests.api_document import document

EXAMPLES = 50
BOUNDED = hypothesis(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# A well-formed password may be a common one, a well-formed token is nobody's: 400 is the right answer to either.
EXCLUDED: list[schemathesis.CheckFunction] = [positive_data_acceptance]


def excluded(case: schemathesis.Case[Any]) -> list[schemathesis.CheckFunction]:
    """The checks that this request can not fail: a parameter whose value is an empty list never goes over the wire."""
    vanishes = any(value in ([], {}) for value in (case.query or {}).values())
    return [*EXCLUDED, negative_data_rejection] if vanishes else EXCLUDED


load_all_checks()
schema = schemathesis.openapi.from_dict(
    document(),
    config=schemathesis.Config.from_dict({"seed": 20261124, "generation": {"deterministic": True, "database": "none"}}),
)
schema.app = get_wsgi_application()

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True, scope="module")
def _unmeasured() -> Iterator[None]:
    """Fuzz at full speed: coverage nearly doubles what it costs, and each line has its own tests elsewhere."""
    measuring = Coverage.current()
    if measuring is None:
        yield
        return
    measuring.stop()
    yield
    with warnings.catch_warnings(action="ignore", category=CoverageWarning):  # that there are modules already
        measuring.start()


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """Keep the transaction of the test open between requests, as Django's own test client does."""
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (signals.request_started, signals.request_finished):
        signal.connect(close_old_connections)


@schema.include(path_regex=r"^/api/v1/").parametrize()
@BOUNDED
def test_anybody_gets_what_the_document_says(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(excluded_checks=excluded(case))


@schema.include(path_regex=r"/users/me|/logout").parametrize()
@BOUNDED
def test_a_signed_in_user_gets_what_the_document_says(case: schemathesis.Case[Any], alice: User) -> None:
    started = sessions.start(user=alice, amr=["pwd"], device=Presented(), origin=Origin.system("fuzzing"))
    access_token = sessions.issue(started, role=alice.role).access_token

    case.call_and_validate(headers={"Authorization": f"Bearer {access_token}"}, excluded_checks=excluded(case))


@schema.exclude(path_regex=r"^/api/v1/").parametrize()
@BOUNDED
def test_the_standard_documents_are_as_the_document_says(case: schemathesis.Case[Any]) -> None:
    answer = case.call_and_validate(excluded_checks=excluded(case))

    assert answer.status_code in {HTTPStatus.OK, HTTPStatus.METHOD_NOT_ALLOWED}

"""One signed request presented many times at once: the database takes its nonce once, whoever asks."""

from collections import Counter
from functools import partial
from http import HTTPStatus

import pytest
from django.core.cache import cache

from audit.models import Event
from audit.origin import Origin
from authsvc.tokens.models import ServiceClientKey, UsedNonce
from authsvc.tokens.services import clients
from authsvc.tokens.services.clients import Algorithm, TooManyKeys
from tests.cast import Api
from tests.crowd import at_once
from tests.signing import ALGORITHMS, FORM, INTROSPECT, Draft, Service

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_request_replayed_from_twenty_threads_is_answered_once(algorithm: str) -> None:
    headers = Draft(Service.created("billing", algorithm)).headers()

    answers = at_once(partial(Api().raw, "POST", INTROSPECT, b"token=x", FORM, **headers) for _ in range(20))

    assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 1, HTTPStatus.UNAUTHORIZED: 19}
    assert UsedNonce.objects.count() == 1
    refusals = Event.objects.filter(action="machine.request.refused").values_list("metadata__reason", flat=True)
    assert list(refusals) == ["replay"] * 19


def test_requests_of_their_own_do_not_stand_in_each_others_way() -> None:
    service = Service.created()
    drafts = [Draft(service) for _ in range(10)]

    answers = at_once(draft.send for draft in drafts)

    assert {answer.status for answer in answers} == {HTTPStatus.OK}
    assert UsedNonce.objects.count() == 10


def test_a_cache_that_forgets_everything_changes_nothing() -> None:
    headers = Draft(Service.created()).headers()
    assert Api().raw("POST", INTROSPECT, b"token=x", FORM, **headers).status == HTTPStatus.OK

    cache.clear()

    assert Api().raw("POST", INTROSPECT, b"token=x", FORM, **headers).codes == ["invalid_signature"]


def test_many_second_keys_at_once_leave_two() -> None:
    Service.created("billing")

    def add() -> str:
        try:
            return str(
                clients.add_key(name="billing", algorithm=Algorithm.ED25519, origin=Origin.system("test")).key.id
            )
        except TooManyKeys:
            return ""

    made = [key_id for key_id in at_once([add] * 6) if key_id]

    assert len(made) == 1
    assert ServiceClientKey.objects.filter(revoked_at__isnull=True).count() == 2
    assert Event.objects.filter(action="machine.key.added").count() == 2


def test_many_creations_at_once_leave_one_client_with_one_key() -> None:
    def create() -> bool:
        try:
            clients.create_client(name="billing", algorithm=Algorithm.HMAC_SHA256, origin=Origin.system("test"))
        except clients.ClientExists:
            return False
        return True

    assert sum(at_once([create] * 6)) == 1
    assert ServiceClientKey.objects.count() == 1
    assert list(Event.objects.order_by("id").values_list("action", flat=True)) == [
        "machine.client.created",
        "machine.key.added",
    ]

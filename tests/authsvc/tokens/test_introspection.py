"""What a service is told about a token (RFC 7662): all of a live one, nothing of others; asking changes nothing."""

import time
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from django.conf import settings as django_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from audit.models import Event
from authsvc.tokens.models import Session
from tests.cast import V1, Answer, Api, post_round
from tests.lineage import Tokens, change, refreshed, row
from tests.signing import FORM, INTROSPECT, Draft, Service

pytestmark = pytest.mark.django_db

NEW_KEY = b"another key for the tests, 32 by"


@pytest.fixture
def service(db: None) -> Service:
    return Service.created("billing", "hmac-sha256")


@pytest.fixture
def tokens(api: Api, alice: User) -> Tokens:
    data: Tokens = api.login(alice.email).data
    return data


def live(answer: Answer) -> dict[str, Any]:
    assert answer.status == HTTPStatus.OK, answer.body
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body["active"] is True
    return dict(answer.body)


def dead(answer: Answer) -> bool:
    assert answer.status == HTTPStatus.OK, answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    return bool(answer.raw == b'{"active":false}')


# Live ones


def test_a_live_access_token(service: Service, alice: User, tokens: Tokens) -> None:
    says = live(service.introspect(tokens["accessToken"]))

    claims = jwt.decode(tokens["accessToken"], options={"verify_signature": False})
    assert says == {
        "active": True,
        "token_type": "Bearer",
        "iss": "http://127.0.0.1:8000",
        "aud": "http://127.0.0.1:8000",
        "sub": str(alice.id),
        "client_id": "authsvc",
        "sid": tokens["session"]["id"],
        "jti": claims["jti"],
        "iat": claims["iat"],
        "exp": claims["exp"],
        "auth_time": claims["auth_time"],
        "amr": ["pwd"],
        "acr": "aal1",
        "role": "user",
    }
    assert says["iat"] <= time.time() < says["exp"]


def test_a_live_refresh_token(service: Service, alice: User, tokens: Tokens) -> None:
    says = live(service.introspect(tokens["refreshToken"]))

    session = Session.objects.get()
    assert says == {
        "active": True,
        "token_type": "refresh_token",
        "iss": "http://127.0.0.1:8000",
        "sub": str(alice.id),
        "client_id": "authsvc",
        "sid": str(session.id),
        "iat": int(session.refreshed_at.timestamp()),
        "exp": int(session.expires_at.timestamp()),
        "auth_time": int(session.authenticated_at.timestamp()),
        "amr": ["pwd"],
        "acr": "aal1",
        "role": "user",
    }


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", "nonsense", "é", "\0"])
def test_the_hint_is_only_a_hint(service: Service, tokens: Tokens, hint: str) -> None:
    for kind in ("accessToken", "refreshToken"):
        live(service.introspect(tokens[kind], token_type_hint=hint))


@pytest.mark.parametrize("kind", ["accessToken", "refreshToken"])
def test_asking_changes_nothing(service: Service, api: Api, tokens: Tokens, kind: str) -> None:
    before, events = row(tokens), Event.objects.count()

    for _ in range(3):
        live(service.introspect(tokens[kind]))

    assert row(tokens) == before
    assert Event.objects.count() == events
    assert api.refresh(tokens["refreshToken"]).status == HTTPStatus.OK


def test_after_a_refresh_the_successor_is_the_live_one_and_asking_about_the_old_one_ends_nothing(
    service: Service, api: Api, tokens: Tokens
) -> None:
    second = api.refresh(tokens["refreshToken"]).data
    third = api.refresh(second["refreshToken"]).data
    refreshed(tokens, timedelta(minutes=1))

    for old in (tokens, second):
        assert dead(service.introspect(old["refreshToken"]))
    live(service.introspect(third["refreshToken"]))
    live(service.introspect(tokens["accessToken"]))
    assert Event.objects.filter(action__startswith="session.").count() == 0


@pytest.mark.parametrize("kind", ["accessToken", "refreshToken"])
def test_asking_costs_two_reads_and_the_nonce(service: Service, tokens: Tokens, kind: str) -> None:
    live(service.introspect(tokens[kind]))

    with CaptureQueriesContext(connection) as captured:
        live(service.introspect(tokens[kind]))

    verbs = [query["sql"].split()[0] for query in captured]
    assert [verb for verb in verbs if verb in {"SELECT", "INSERT", "UPDATE", "DELETE"}] == [
        "SELECT",
        "INSERT",
        "SELECT",
    ]


# All others


def logged_out(api: Api, _alice: User, tokens: Tokens) -> None:
    api.post(f"{V1}/auth/logout", token=tokens["accessToken"])


def logged_out_everywhere(api: Api, _alice: User, tokens: Tokens) -> None:
    api.post(f"{V1}/auth/logout-all", token=tokens["accessToken"])


def deactivated(_api: Api, alice: User, _tokens: Tokens) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)


def unverified(_api: Api, alice: User, _tokens: Tokens) -> None:
    User.objects.filter(pk=alice.pk).update(verified_at=None)


def stamped_anew(_api: Api, alice: User, _tokens: Tokens) -> None:
    User.objects.filter(pk=alice.pk).update(stamp=uuid4())


def deleted(_api: Api, alice: User, _tokens: Tokens) -> None:
    alice.delete()


def idle_too_long(_api: Api, _alice: User, tokens: Tokens) -> None:
    refreshed(tokens, django_settings.REFRESH_IDLE + timedelta(seconds=1))


def too_old(_api: Api, _alice: User, tokens: Tokens) -> None:
    change(tokens, created_at=timezone.now() - django_settings.SESSION_MAX - timedelta(seconds=1))


@pytest.mark.parametrize(
    "happened",
    [
        logged_out,
        logged_out_everywhere,
        deactivated,
        unverified,
        stamped_anew,
        deleted,
        idle_too_long,
        too_old,
    ],
)
def test_what_is_over_says_nothing_more(
    service: Service, api: Api, alice: User, tokens: Tokens, happened: Callable[[Api, User, Tokens], None]
) -> None:
    both = (tokens["accessToken"], tokens["refreshToken"])
    for token in both:
        live(service.introspect(token))

    happened(api, alice, tokens)

    assert [dead(service.introspect(token)) for token in both] == [True, True]


def test_an_access_token_whose_time_is_over(service: Service, tokens: Tokens) -> None:
    ends = live(service.introspect(tokens["accessToken"]))["exp"]

    with time_machine.travel(ends - 1, tick=False):
        live(service.introspect(tokens["accessToken"]))
    with time_machine.travel(ends + 1, tick=False):
        assert dead(service.introspect(tokens["accessToken"]))


def test_a_token_that_somebody_else_signed(service: Service, tokens: Tokens) -> None:
    header = {"typ": "at+jwt", "kid": jwt.get_unverified_header(tokens["accessToken"])["kid"]}
    claims = jwt.decode(tokens["accessToken"], options={"verify_signature": False})

    foreign = jwt.encode(claims, generate_private_key(SECP256R1()), algorithm="ES256", headers=header)
    shared = jwt.encode(claims, service.secret, algorithm="HS256", headers=header)
    unsigned = jwt.encode(claims, "", algorithm="none", headers=header)

    assert [dead(service.introspect(token)) for token in (foreign, shared, unsigned)] == [True] * 3


def test_every_prefix_of_a_token_is_none(service: Service, tokens: Tokens) -> None:
    for kind in ("accessToken", "refreshToken"):
        token = tokens[kind]
        for length in range(1, len(token), 9):
            assert dead(service.introspect(token[:length])), (kind, length)
        assert dead(service.introspect(token + "A"))
        assert dead(service.introspect(token + " "))


def test_whatever_is_no_token(subtests: pytest.Subtests, service: Service) -> None:
    for token in [
        "x",
        "a.b.c",
        "A" * 91,
        "é" * 91,
        "\0",
        "null",
        " ",
        "x" * 60_000,
        "..",
        "eyJhbGciOiJub25lIn0.e30.",
        "\U0001f511",
        "\ud7ff",
    ]:
        with subtests.test(token=token):
            assert dead(service.introspect(token))


def test_tokens_of_other_kinds(service: Service, api: Api) -> None:
    api.register("ada@example.org")
    mailed = post_round()[0].token

    assert dead(service.introspect(mailed))
    assert dead(service.introspect(service.key_id))
    assert dead(service.introspect(service.secret))


def test_a_node_that_lacks_the_key_of_a_refresh_token_does_not_call_it_dead(
    service: Service, tokens: Tokens, settings: Settings
) -> None:
    (key,) = settings.ENCRYPTION_KEYS
    signing = Service.created("signs-with-a-key-pair", "ed25519")
    settings.ENCRYPTION_KEYS = (NEW_KEY,)

    answer = signing.introspect(tokens["refreshToken"])

    assert (answer.status, answer.codes) == (HTTPStatus.SERVICE_UNAVAILABLE, ["unavailable"])
    assert answer.headers["Retry-After"] == "1"
    settings.ENCRYPTION_KEYS = (NEW_KEY, key)
    live(signing.introspect(tokens["refreshToken"]))


# The form


def test_a_form_that_is_not_as_it_should_be(subtests: pytest.Subtests, service: Service) -> None:
    for body, problems in [
        (b"", {"token": "required"}),
        (b"token=", {"token": "required"}),
        (b"token", {"token": "required"}),
        (b"token_type_hint=access_token", {"token": "required"}),
        (b"token=a&token=b", {"token": "duplicate_field"}),
        (b"token=a&token=a", {"token": "duplicate_field"}),
        (b"token=&token=a", {"token": "duplicate_field"}),
        (b"token=a&token_type_hint=a&token_type_hint=b", {"token_type_hint": "duplicate_field"}),
        (b"token=%ff", {None: "invalid_format"}),
        (b"token=\xc3\xa9", {None: "invalid_format"}),
    ]:
        with subtests.test(body=body, problems=problems):
            answer = service.post(INTROSPECT, body)

            assert answer.status == HTTPStatus.BAD_REQUEST
            assert answer.problems == problems
            assert answer.body["meta"]["statusCode"] == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/plain", "multipart/form-data; boundary=x", "", "*/*", f"{FORM}; charset=latin-1"],
)
def test_bodies_of_another_type(service: Service, content_type: str) -> None:
    answer = service.post(INTROSPECT, b"token=x", content_type)

    assert (answer.status, answer.codes) == (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, ["unsupported_media_type"])
    assert answer.body["message"] == "Send the body as application/x-www-form-urlencoded in UTF-8."


@pytest.mark.parametrize("content_type", [f"{FORM}; charset=utf-8", FORM.upper(), f"{FORM};charset=UTF-8"])
def test_spellings_of_the_type(service: Service, content_type: str) -> None:
    assert dead(service.post(INTROSPECT, b"token=x", content_type))


def test_a_token_in_the_address_is_none_in_the_form(service: Service, tokens: Tokens) -> None:
    address = f"{INTROSPECT}?{urlencode({'token': tokens['accessToken']})}"

    assert service.post(address).problems == {"token": "required"}


def test_a_body_over_the_limit(service: Service) -> None:
    answer = Draft(service, body=b"token=" + b"x" * 70_000).send()

    assert answer.codes == ["body_too_large"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods(service: Service, method: str) -> None:
    answer = Draft(service, method=method).send()

    assert (answer.status, answer.headers["Allow"]) == (HTTPStatus.METHOD_NOT_ALLOWED, "POST")

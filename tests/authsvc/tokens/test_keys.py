"""The keys that sign access tokens: where they come from, how they rest, what of them is shown."""

import base64
import hashlib
import json
import logging
from http import HTTPStatus
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import User
from audit.origin import Origin
from authsvc import crypto
from authsvc.tokens.models import SigningKey
from authsvc.tokens.services import key_material, keys, refresh_tokens, sessions
from authsvc.tokens.services.key_material import Key
from authsvc.tokens.services.keys import KeyRing, ring
from authsvc.tokens.services.known_devices import Presented
from tests.cast import V1, Api
from tests.crowd import at_once
from tests.key_rotation import JWKS, pass_time
from tests.lineage import refused

CACHED = "public, max-age=300"
NEW_KEY = b"another key for the tests, 32 by"


def numbers(key: Key | None) -> ec.EllipticCurvePublicNumbers:
    assert key is not None
    assert isinstance(key.public, ec.EllipticCurvePublicKey)
    return key.public.public_numbers()


def two_keys() -> tuple[SigningKey, SigningKey]:
    """The active key and the next one, and no other."""
    active, following = SigningKey.objects.order_by("state")
    assert (active.state, following.state) == ("active", "next")
    return active, following


@pytest.mark.django_db
def test_the_first_use_makes_the_first_key_with_its_successor_and_the_next_finds_them() -> None:
    assert SigningKey.objects.count() == 0

    made = ring.signing()

    active, following = two_keys()
    assert (active.kid, active.algorithm) == (made.kid, "ES256")
    assert (following.algorithm, following.activated_at, following.verifies_until) == ("ES256", None, None)
    assert following.kid != active.kid
    assert isinstance(numbers(made).curve, ec.SECP256R1)
    assert ring.signing() is made
    assert numbers(KeyRing().signing()) == numbers(made)
    assert [row.kid for row in two_keys()] == [active.kid, following.kid]


@pytest.mark.django_db
def test_its_name_is_its_thumbprint() -> None:
    jwk = ring.signing().public_jwk

    text = f'{{"crv":"P-256","kty":"EC","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'
    assert jwk["kid"] == base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def test_the_thumbprint_is_that_of_rfc_7638_whatever_else_the_key_says() -> None:
    jwk = {"kty": "EC", "crv": "P-256", "x": "x-value", "y": "y-value"}
    text = b'{"crv":"P-256","kty":"EC","x":"x-value","y":"y-value"}'

    expected = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).decode().rstrip("=")
    assert key_material.thumbprint(jwk) == key_material.thumbprint({**jwk, "use": "sig", "alg": "ES256"}) == expected


@pytest.mark.django_db
def test_the_private_part_is_sealed_for_its_row_alone() -> None:
    ring.signing()

    for row in two_keys():
        sealed = bytes(row.sealed_private)
        private = key_material.unseal(sealed, kid=row.kid)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        assert key_material.public_key("ES256", row.public_jwk) == private.public_key()
        scalar = private.private_numbers().private_value.to_bytes(32, "big")
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        columns = SigningKey.objects.values().get(pk=row.kid)
        everything = sealed + json.dumps(columns, default=str).encode()
        for secret in (scalar, der, crypto.b64encode(scalar).encode(), scalar.hex().encode()):
            assert secret not in everything
        assert crypto.unseal(sealed, context=f"signing-key:{row.kid}") == der
    for row, other in (two_keys(), reversed(two_keys())):
        with pytest.raises(crypto.Tampered):
            key_material.unseal(bytes(row.sealed_private), kid=other.kid)


@pytest.mark.django_db
def test_a_process_keeps_the_private_part_of_the_signing_key_alone() -> None:
    ring.signing()
    active, following = two_keys()

    known, waiting = ring.by_kid(active.kid), ring.by_kid(following.kid)

    assert known is not None
    assert waiting is not None
    assert known.private is not None
    assert waiting.private is None


@pytest.mark.django_db
def test_a_node_that_can_not_open_the_key_says_so_and_makes_no_other(api: Api, alice: User, settings: Settings) -> None:
    ring.signing()
    before = two_keys()
    ring.forget()
    settings.ENCRYPTION_KEYS = (NEW_KEY,)

    answer = api.login(alice.email)

    assert (answer.status, answer.codes, answer.headers["Retry-After"]) == (
        HTTPStatus.SERVICE_UNAVAILABLE,
        ["unavailable"],
        "1",
    )
    assert two_keys() == before


@pytest.mark.django_db
def test_the_key_outlives_a_change_of_the_keys_that_seal(api: Api, alice: User, settings: Settings) -> None:
    token = api.login(alice.email).data["accessToken"]
    before = two_keys()
    settings.ENCRYPTION_KEYS = (NEW_KEY, *settings.ENCRYPTION_KEYS)
    ring.forget()

    assert api.me(token).status == HTTPStatus.OK
    assert numbers(ring.signing()) == numbers(KeyRing().signing())
    assert two_keys() == before


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_any_number_of_processes_at_once_make_one_key_and_one_successor() -> None:
    assert SigningKey.objects.count() == 0

    made = at_once(KeyRing().signing for _ in range(8))

    active, _following = two_keys()
    assert {key.kid for key in made} == {active.kid}


@pytest.mark.django_db
def test_names_of_strangers_cost_five_looks_a_second_at_most() -> None:
    known = ring.signing().kid

    with CaptureQueriesContext(connection) as captured:
        assert [ring.by_kid(f"stranger {number}") for number in range(50)] == [None] * 50
    assert len(captured) == 0

    assert KeyRing.PATIENCE_SECONDS == 0.2
    pass_time(KeyRing.PATIENCE_SECONDS)
    with CaptureQueriesContext(connection) as captured:
        assert [ring.by_kid(f"stranger {number}") for number in range(50)] == [None] * 50
    assert len(captured) == 1
    assert ring.by_kid(known) is not None


@pytest.mark.django_db
def test_a_key_that_another_process_made_is_found(api: Api, alice: User) -> None:
    assert ring.by_kid("nobody's") is None
    made = KeyRing().signing()

    pass_time(KeyRing.PATIENCE_SECONDS)

    found = ring.by_kid(made.kid)
    assert numbers(found) == numbers(made)


@pytest.mark.django_db
def test_a_key_that_is_gone_verifies_nothing_once_the_ring_has_looked(api: Api, alice: User) -> None:
    token = api.login(alice.email).data["accessToken"]
    gone = two_keys()
    SigningKey.objects.all().delete()

    pass_time(KeyRing.FRESH_SECONDS)
    api.login(alice.email)

    assert {row.kid for row in two_keys()}.isdisjoint(row.kid for row in gone)
    assert refused(api.me(token)) == "invalid_token"


@pytest.mark.django_db
def test_the_public_keys_are_answered_as_the_standard_says_and_no_private_part_with_them(api: Api) -> None:
    answer = api.get(JWKS)

    assert answer.status == HTTPStatus.OK
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == CACHED
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    points = [(row.kid, numbers(ring.by_kid(row.kid))) for row in two_keys()]
    assert answer.body == {
        "keys": [
            {
                "kty": "EC",
                "crv": "P-256",
                "x": crypto.b64encode(point.x.to_bytes(32, "big")),
                "y": crypto.b64encode(point.y.to_bytes(32, "big")),
                "kid": kid,
                "alg": "ES256",
                "use": "sig",
            }
            for kid, point in points
        ]
    }


@pytest.mark.django_db
def test_whoever_has_the_public_keys_already_is_told_so(api: Api) -> None:
    whole = api.get(JWKS)
    etag = whole.headers["ETag"]
    assert etag.startswith('"')  # a strong one

    for known in (etag, f"W/{etag}", f'"another", {etag}', "*"):
        answer = api.get(JWKS, if_none_match=known)

        assert (answer.status, answer.raw) == (HTTPStatus.NOT_MODIFIED, b"")
        assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == (etag, CACHED)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    for unknown in ('"another"', "", "\0", etag.strip('"')):
        answer = api.get(JWKS, if_none_match=unknown)
        assert (answer.status, answer.body) == (HTTPStatus.OK, whole.body)


@pytest.mark.django_db
def test_another_set_of_public_keys_has_another_etag_and_the_same_set_the_same_in_every_process(api: Api) -> None:
    first = api.get(JWKS)
    ring.forget()
    assert api.get(JWKS).headers["ETag"] == first.headers["ETag"]

    keys.rotate(origin=Origin.system("tests"), at_once=True)

    answer = api.get(JWKS, if_none_match=first.headers["ETag"])
    assert answer.status == HTTPStatus.OK
    assert answer.headers["ETag"] != first.headers["ETag"]
    assert answer.headers["Cache-Control"] == CACHED


@pytest.mark.django_db
def test_a_head_request_has_the_etag_and_no_body(api: Api) -> None:
    answer = api.raw("HEAD", JWKS)

    assert (answer.status, answer.raw) == (HTTPStatus.OK, b"")
    assert answer.headers["ETag"] == api.get(JWKS).headers["ETag"]
    assert api.raw("HEAD", JWKS, if_none_match=answer.headers["ETag"]).status == HTTPStatus.NOT_MODIFIED


@pytest.mark.django_db
def test_the_public_keys_are_there_before_the_first_sign_in_and_stay(api: Api, alice: User) -> None:
    before = api.get(JWKS).body

    api.login(alice.email)

    assert api.get(JWKS).body == before


@pytest.mark.django_db
def test_no_representation_shows_a_secret(alice: User) -> None:
    started = sessions.start(user=alice, amr=["pwd"], device=Presented(), origin=Origin.system("tests"))
    issued = sessions.issue(started, role="user")
    parsed = refresh_tokens.parse(issued.refresh_token)
    key = ring.signing()
    private = key.private
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    secrets: list[Any] = [
        issued.refresh_token,
        issued.access_token,
        issued.access_token.rpartition(".")[2],
        crypto.b64encode(parsed.secret),
        parsed.secret.hex(),
        repr(parsed.secret),
        str(private.private_numbers().private_value),
        repr(bytes(started.session.refresh_salt)),
    ]

    for thing in (started, issued, issued.session, parsed, key, ring, ring._last, *two_keys()):
        for shown in (repr(thing), str(thing), f"{[thing]}"):
            assert [secret for secret in secrets if secret in shown] == []
    assert "private" not in repr(key)


@pytest.mark.django_db
def test_no_token_reaches_the_log(api: Api, alice: User, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    first = api.login(alice.email).data
    second = api.refresh(first["refreshToken"]).data
    api.me(first["accessToken"][:-4])
    api.refresh(first["refreshToken"][:-4])
    api.post(f"{V1}/auth/logout", {"refreshToken": second["refreshToken"]}, token=second["accessToken"])

    logged = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert "/api/v1/auth/refresh" in logged
    for tokens in (first, second):
        for token in (tokens["accessToken"], tokens["refreshToken"]):
            assert token not in logged
            assert token[-40:-5] not in logged

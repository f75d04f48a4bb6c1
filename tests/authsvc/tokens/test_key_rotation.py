"""Signing keys follow one another: published, signing, verifying, gone."""

import hashlib
import hmac
import json
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings as django_settings
from django.core.management import CommandError
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from audit.models import Event
from audit.origin import Origin
from authsvc import crypto
from authsvc.tokens import tasks
from authsvc.tokens.models import SigningKey
from authsvc.tokens.services import access, key_material, keys
from authsvc.tokens.services.key_material import Key
from authsvc.tokens.services.keys import KeyRing, ring
from tests.cast import Api
from tests.key_rotation import JWKS, everything, key, kid_of, kids, pass_time, published, ripen, rotate, rotated
from tests.lineage import refused

pytestmark = pytest.mark.django_db

ORIGIN = Origin.system("tests")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
PUBLIC_URL = "http://127.0.0.1:8000"
ALGORITHMS = ("ES256", "EdDSA", "RS256")
KEY_TYPES = {"ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519"), "RS256": ("RSA", None)}


def signed_in(api: Api, user: User) -> str:
    answer = api.login(user.email)
    assert answer.status == HTTPStatus.OK, answer.body
    return str(answer.data["accessToken"])


def works(api: Api, token: str) -> bool:
    answer = api.me(token)
    if answer.status == HTTPStatus.OK:
        return True
    assert refused(answer) == "invalid_token"
    return False


def over(kid: str) -> None:
    """Let the time be over for which a retired key verifies."""
    just_now = timezone.now() - timedelta(milliseconds=10)
    assert SigningKey.objects.filter(kid=kid, state="retired").update(verifies_until=just_now) == 1


def rotations() -> list[Event]:
    return list(Event.objects.filter(action="keys.rotated").order_by("id"))


# Too early


def test_before_its_ten_minutes_the_next_key_does_not_sign_and_the_command_says_from_when_on(
    api: Api, alice: User
) -> None:
    token = signed_in(api, alice)
    before = everything()
    active, following = key("active"), key("next")
    ready_at = (following.created_at + 10 * MINUTE).isoformat(timespec="seconds")

    assert rotate() == f"{active.kid} goes on signing: {following.kid} may follow it from {ready_at} on.\n"
    assert json.loads(rotate("--json")) == {
        "rotated": False,
        "active": active.kid,
        "next": following.kid,
        "readyAt": ready_at,
        "dryRun": False,
    }

    assert everything() == before
    assert rotations() == []
    assert works(api, token)
    assert kid_of(signed_in(api, alice)) == active.kid


@pytest.mark.parametrize(("ago", "signs"), [(10 * MINUTE - timedelta(seconds=5), False), (10 * MINUTE, True)])
def test_ten_minutes_are_ten_minutes(ago: timedelta, signs: bool) -> None:  # noqa: FBT001 - a parameter
    ring.signing()
    following = key("next").kid
    ripen(ago)

    assert json.loads(rotate("--json"))["rotated"] is signs
    assert (key("active").kid == following) is signs


def test_asked_on_a_new_installation_the_first_keys_are_made_and_stay() -> None:
    said = json.loads(rotate("--json"))

    assert said["rotated"] is False
    assert (said["active"], said["next"]) == (key("active").kid, key("next").kid)


# In time


@pytest.mark.both_databases
def test_the_next_key_signs_and_the_old_one_verifies_until_its_last_token_is_over(api: Api, alice: User) -> None:
    old_token = signed_in(api, alice)
    old, following = key("active").kid, key("next").kid
    ripen()
    before = timezone.now()

    said = rotated()

    after = timezone.now()
    new_token = signed_in(api, alice)
    assert said == {"rotated": True, "active": following, "next": key("next").kid, "readyAt": None, "dryRun": False}
    assert kid_of(new_token) == key("active").kid == following
    assert works(api, old_token)
    assert works(api, new_token)
    retired = key("retired")
    assert retired.kid == old
    assert retired.retired_at is not None
    assert retired.verifies_until is not None
    assert before <= retired.retired_at <= after
    life = django_settings.ACCESS_TOKEN_LIFETIME + 2 * MINUTE
    assert timedelta(0) <= retired.verifies_until - before - life <= after - before + timedelta(milliseconds=1)
    assert published(api)[0] == following
    assert sorted(published(api)) == sorted([old, following, key("next").kid])


def test_a_retired_key_is_gone_when_its_time_is_over_even_if_its_tokens_are_not(api: Api, alice: User) -> None:
    old_token = signed_in(api, alice)
    old = key("active").kid
    ripen()
    rotated()
    new_token = signed_in(api, alice)
    assert works(api, old_token)

    over(old)
    pass_time(KeyRing.FRESH_SECONDS)

    assert not works(api, old_token)
    assert works(api, new_token)
    assert old not in published(api)
    assert ring.by_kid(old) is None
    assert jwt.decode(old_token, options={"verify_signature": False})["exp"] > timezone.now().timestamp()


def test_each_rotation_makes_the_next_key_and_they_follow_in_order(api: Api, alice: User) -> None:
    ring.signing()
    tokens = [signed_in(api, alice)]
    announced = []
    for _ in range(3):
        announced.append(key("next").kid)
        ripen()
        rotated()
        tokens.append(signed_in(api, alice))

    assert [kid_of(token) for token in tokens[1:]] == announced
    assert len(set(announced)) == 3
    assert key("next").kid not in {kid_of(token) for token in tokens}
    assert all(works(api, token) for token in tokens)
    assert len(published(api)) == len(set(published(api))) == 5


def test_two_rotations_in_a_row_are_one() -> None:
    ring.signing()
    ripen()
    first = rotated()

    assert json.loads(rotate("--json")) == {
        **first,
        "rotated": False,
        "readyAt": (key("next").created_at + 10 * MINUTE).isoformat(timespec="seconds"),
    }
    assert len(kids("retired")) == len(rotations()) == 1


def test_the_private_part_of_a_retired_key_is_gone_from_the_row_and_from_memory(api: Api, alice: User) -> None:
    signed_in(api, alice)
    elsewhere = KeyRing()
    assert elsewhere.signing().private is not None
    old = key("active").kid
    ripen()

    rotated()
    pass_time(KeyRing.FRESH_SECONDS, elsewhere)

    assert bytes(key("retired").sealed_private) == b""
    assert bytes(key("active").sealed_private) != b""
    assert bytes(key("next").sealed_private) != b""
    for keys_in_memory in (ring, elsewhere):
        remembered = keys_in_memory.by_kid(old)
        assert remembered is not None
        assert remembered.private is None


@pytest.mark.parametrize("options", [(), ("--now",)])
def test_the_log_tells_of_a_rotation(options: tuple[str, ...]) -> None:
    ring.signing()
    old = key("active").kid
    ripen()

    rotated(*options)

    (event,) = rotations()
    assert (event.action, event.outcome, event.subject, event.actor) == ("keys.rotated", "success", None, None)
    assert (event.resource, event.user_agent) == (f"signing-key:{key('active').kid}", "rotate_signing_keys")
    assert event.metadata == {"retired": old, "atOnce": "--now" in options}


def test_the_command_speaks_to_people_too() -> None:
    ring.signing()
    ripen()

    said = rotate()

    assert said == f"{key('active').kid} signs now; {key('next').kid} is published to follow it.\n"


def test_an_option_that_does_not_exist_changes_nothing() -> None:
    ring.signing()
    ripen()
    before = everything()

    with pytest.raises(CommandError):
        rotate("--at-once")

    assert everything() == before


# After a leak


@pytest.mark.both_databases
def test_now_signs_with_a_key_that_nobody_has_seen_and_refuses_every_older_token(api: Api, alice: User) -> None:
    tokens = api.login(alice.email).data
    older = published(api)
    assert works(api, tokens["accessToken"])

    said = rotated("--now")

    assert not works(api, tokens["accessToken"])
    assert published(api) == [said["active"], said["next"]]
    assert set(older).isdisjoint(published(api))
    refreshed = api.refresh(tokens["refreshToken"])
    assert refreshed.status == HTTPStatus.OK
    assert kid_of(refreshed.data["accessToken"]) == said["active"] == key("active").kid
    assert works(api, refreshed.data["accessToken"])
    assert works(api, signed_in(api, alice))


def test_now_does_not_wait_for_the_ten_minutes_and_discards_a_next_key_that_was_ripe() -> None:
    ring.signing()
    announced = key("next").kid
    ripen()

    rotated("--now")

    assert announced not in kids()
    ripen(9 * MINUTE)
    announced = key("next").kid
    rotated("--now")
    assert announced not in kids()
    assert len(kids("active", "next")) == 2


def test_now_drops_the_keys_that_were_retired_before_too(api: Api, alice: User) -> None:
    tokens = [signed_in(api, alice)]
    for _ in range(2):
        ripen()
        rotated()
        tokens.append(signed_in(api, alice))
    assert all(works(api, token) for token in tokens)

    said = rotated("--now")

    assert not any(works(api, token) for token in tokens)
    assert published(api) == [said["active"], said["next"]]
    assert all(bytes(row.sealed_private) == b"" for row in SigningKey.objects.filter(state="retired"))


def test_now_leaves_the_end_of_keys_that_ended_before_as_it_was() -> None:
    ring.signing()
    old = key("active").kid
    ripen()
    rotated()
    over(old)
    ended = key("retired").verifies_until

    rotated("--now")

    assert SigningKey.objects.get(kid=old).verifies_until == ended


def test_now_makes_signing_possible_again_where_the_key_that_sealed_is_lost(
    api: Api, alice: User, settings: Settings
) -> None:
    ring.signing()
    settings.ENCRYPTION_KEYS = (b"another key for the tests, 32 by",)
    ring.forget()
    assert api.login(alice.email).status == HTTPStatus.SERVICE_UNAVAILABLE

    rotated("--now")

    assert works(api, signed_in(api, alice))


# In other processes


def test_another_process_follows_within_a_second(api: Api, alice: User) -> None:
    other = KeyRing()
    old = other.signing().kid
    assert KeyRing.FRESH_SECONDS == 1.0
    ripen()

    said = rotated()
    assert other.signing().kid == old  # until it looks again
    pass_time(KeyRing.FRESH_SECONDS, other)
    assert other.signing().kid == said["active"]
    assert other.by_kid(old) is not None
    assert {jwk["kid"] for jwk in other.published()} == kids()

    said = rotated("--now")
    pass_time(KeyRing.FRESH_SECONDS, other)
    assert other.by_kid(old) is None
    assert other.signing().kid == said["active"]
    assert [jwk["kid"] for jwk in other.published()] == [said["active"], said["next"]]


def test_another_process_knows_the_key_that_signs_before_it_signs(api: Api, alice: User) -> None:
    other = KeyRing()
    other.signing()
    ripen()

    rotated()

    assert other.by_kid(kid_of(signed_in(api, alice))) is not None


# The memory of verified tokens


def test_a_token_is_remembered_but_not_longer_than_its_key(api: Api, alice: User) -> None:
    token = signed_in(api, alice)
    kid = kid_of(token)
    assert works(api, token)
    assert works(api, token)
    assert list(access._verified) == [crypto.sha256(token)]
    ripen()
    rotated()
    assert works(api, token)

    over(kid)
    pass_time(KeyRing.FRESH_SECONDS)

    assert crypto.sha256(token) in access._verified
    assert not works(api, token)


def test_a_remembered_token_is_refused_when_its_key_is_dropped_by_another_process(api: Api, alice: User) -> None:
    token = signed_in(api, alice)
    assert works(api, token)
    here = ring._last

    rotated("--now")
    ring._last = here  # this process did not do it
    pass_time(KeyRing.FRESH_SECONDS)

    assert not works(api, token)


def test_a_token_that_differs_from_a_remembered_one_in_its_signature_alone_is_not_it(api: Api, alice: User) -> None:
    token = signed_in(api, alice)
    assert works(api, token)
    forged = f"{token[:-8]}AAAAAAAA"

    assert not works(api, forged)
    assert not works(api, forged)
    assert works(api, token)
    assert list(access._verified) == [crypto.sha256(token)]


def test_the_memory_has_a_bound(api: Api, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    assert access._REMEMBERED_TOKENS == 10_000
    monkeypatch.setattr(access, "_REMEMBERED_TOKENS", 3)
    refresh_token = api.login(alice.email).data["refreshToken"]
    tokens = [api.refresh(refresh_token).data["accessToken"] for _ in range(8)]

    for token in tokens * 2:
        assert works(api, token)
        assert 1 <= len(access._verified) <= 3


# Another algorithm


def offline(api: Api, token: str) -> dict[str, Any]:
    """Verify as any other service would, with the published keys and PyJWT alone."""
    published_keys = jwt.PyJWKSet.from_dict(api.get(JWKS).body)
    jwk = published_keys[kid_of(token)]
    claims: dict[str, Any] = jwt.decode(
        token, jwk, algorithms=[jwk.algorithm_name], audience=PUBLIC_URL, issuer=PUBLIC_URL
    )
    return claims


@pytest.mark.both_databases
def test_algorithms_follow_one_another_without_a_gap(api: Api, alice: User, settings: Settings) -> None:
    tokens = {"ES256": signed_in(api, alice)}
    for algorithm in ("EdDSA", "RS256"):
        settings.JWT_ALGORITHM = algorithm
        replaced = key("next").kid
        ripen()
        assert json.loads(rotate("--json"))["rotated"] is False  # a key of the new kind is published first
        assert key("next").algorithm == algorithm
        assert replaced not in kids()
        ripen()
        rotated()
        tokens[algorithm] = signed_in(api, alice)

    for algorithm, token in tokens.items():
        assert jwt.get_unverified_header(token)["alg"] == algorithm
        assert works(api, token)
        assert offline(api, token)["sub"] == str(alice.id)
    shown = api.get(JWKS).body["keys"]
    assert shown[0]["kid"] == kid_of(tokens["RS256"])
    assert sorted(jwk["alg"] for jwk in shown) == ["ES256", "EdDSA", "RS256", "RS256"]
    assert [(jwk["kty"], jwk.get("crv")) for jwk in shown] == [KEY_TYPES[jwk["alg"]] for jwk in shown]
    members = {"EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}, "RSA": {"n", "e"}}
    for jwk in shown:
        assert set(jwk) == members[jwk["kty"]] | {"kty", "kid", "alg", "use"}
        assert jwk["use"] == "sig"
        assert jwk["kid"] == key_material.thumbprint(jwk)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_signs_from_the_first_start(api: Api, alice: User, settings: Settings, algorithm: str) -> None:
    settings.JWT_ALGORITHM = algorithm

    token = signed_in(api, alice)

    assert works(api, token)
    assert offline(api, token)["sub"] == str(alice.id)
    assert {row.algorithm for row in SigningKey.objects.all()} == {algorithm}
    with pytest.raises(jwt.InvalidSignatureError):
        offline(api, f"{token[:-20]}{'A' * 20}")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_private_part_opens_as_it_was_sealed(algorithm: str) -> None:
    made = key_material.generate(algorithm)
    assert made.private is not None

    opened = key_material.unseal(key_material.seal(made), kid=made.kid)

    assert opened.public_key() == made.private.public_key() == key_material.public_key(algorithm, made.public_jwk)
    with pytest.raises(crypto.Tampered):
        key_material.unseal(key_material.seal(made), kid=key_material.generate(algorithm).kid)


def test_an_rsa_key_has_2048_bits_and_the_usual_exponent() -> None:
    jwk = key_material.generate("RS256").public_jwk

    assert len(crypto.b64decode(jwk["n"])) == 256
    assert jwk["e"] == "AQAB"


def test_the_thumbprint_is_that_of_the_example_in_rfc_7638() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhM"
        "stn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5"
        "hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    jwk = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}

    assert key_material.thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_thumbprint_is_that_of_the_example_in_rfc_8037() -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "use": "sig"}

    assert key_material.thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "none", "ES512", "PS256", "", "es256"])
def test_no_key_is_made_for_any_other_algorithm(algorithm: str, settings: Settings) -> None:
    settings.JWT_ALGORITHM = algorithm

    with pytest.raises(ValueError, match="no key of ours signs with"):
        ring.signing()

    assert SigningKey.objects.count() == 0


def resigned(token: str, secret: bytes, **header: str) -> str:
    """Return the token with another header, and an HMAC for its signature."""
    old_header, claims, _signature = token.split(".")
    new_header = {**json.loads(crypto.b64decode(old_header)), **header}
    message = f"{crypto.b64encode(json.dumps(new_header).encode())}.{claims}"
    return f"{message}.{crypto.b64encode(hmac.digest(secret, message.encode(), hashlib.sha256))}"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_hmac_with_what_is_public_of_a_key_is_no_signature(
    api: Api, alice: User, settings: Settings, algorithm: str
) -> None:
    settings.JWT_ALGORITHM = algorithm
    token = signed_in(api, alice)
    signing = ring.signing()
    forms = [(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)]
    secrets = [signing.public.public_bytes(*form) for form in forms]
    secrets += [secrets[0].strip(), json.dumps(signing.public_jwk).encode(), signing.kid.encode(), b""]

    for secret in secrets:
        assert not works(api, resigned(token, secret, alg="HS256"))
        assert not works(api, resigned(token, secret))
    assert works(api, token)


def test_a_key_verifies_nothing_but_its_own_algorithm(api: Api, alice: User, settings: Settings) -> None:
    signers: list[Key] = []
    token = ""
    for algorithm in ALGORITHMS:
        settings.JWT_ALGORITHM = algorithm
        keys.rotate(origin=ORIGIN, at_once=True)
        SigningKey.objects.filter(state="retired").update(verifies_until=timezone.now() + DAY)
        ring.forget()
        token = signed_in(api, alice)
        signers.append(ring.signing())
    claims = jwt.decode(token, options={"verify_signature": False})

    def accepted(signer: Key, named: Key) -> bool:
        assert signer.private is not None
        header = {"typ": "at+jwt", "kid": named.kid}
        return works(api, jwt.encode(claims, signer.private, algorithm=signer.algorithm, headers=header))

    for signer in signers:
        assert [accepted(signer, named) for named in signers] == [signer is named for named in signers]


# By the clock


def test_the_clock_rotates_a_key_that_has_signed_for_a_month_and_no_other(api: Api, alice: User) -> None:
    token = signed_in(api, alice)
    first, following = key("active").kid, key("next").kid
    ripen()
    SigningKey.objects.filter(state="active").update(activated_at=timezone.now() - 30 * DAY + MINUTE)
    before = everything()

    tasks.rotate_signing_keys()
    assert everything() == before
    assert rotations() == []

    SigningKey.objects.filter(state="active").update(activated_at=timezone.now() - 30 * DAY)
    tasks.rotate_signing_keys()
    assert (key("active").kid, key("retired").kid) == (following, first)
    assert key("next").kid not in {first, following}
    (event,) = rotations()
    assert (event.user_agent, event.metadata["atOnce"]) == ("rotate_signing_keys", False)
    assert works(api, token)

    after = everything()
    tasks.rotate_signing_keys()
    assert everything() == after


def test_a_month_counts_from_the_first_signature_and_where_that_is_unknown_from_the_making() -> None:
    ring.signing()
    ripen(40 * DAY)
    SigningKey.objects.filter(state="active").update(created_at=timezone.now() - 40 * DAY)
    first = key("active").kid
    keys.keep(origin=ORIGIN)
    assert key("active").kid == first

    SigningKey.objects.filter(state="active").update(activated_at=None)
    keys.keep(origin=ORIGIN)
    assert key("retired").kid == first


@pytest.mark.parametrize("due", [False, True])
def test_the_clock_makes_a_next_key_that_is_missing_and_does_not_use_it_at_once(due: bool) -> None:  # noqa: FBT001 - a parameter
    ring.signing()
    SigningKey.objects.filter(state="next").delete()
    if due:
        SigningKey.objects.filter(state="active").update(activated_at=timezone.now() - 31 * DAY)
    active = key("active").kid

    keys.keep(origin=ORIGIN)

    assert key("active").kid == active
    assert key("next").activated_at is None
    assert len(kids()) == 2
    assert rotations() == []


def test_the_clock_publishes_a_next_key_of_the_algorithm_that_is_wanted_now(settings: Settings) -> None:
    ring.signing()
    replaced = key("next").kid
    settings.JWT_ALGORITHM = "EdDSA"

    keys.keep(origin=ORIGIN)

    assert (key("active").algorithm, key("next").algorithm) == ("ES256", "EdDSA")
    assert replaced not in kids()


def test_the_clock_makes_the_first_keys_of_a_new_installation() -> None:
    keys.keep(origin=ORIGIN)

    assert ring.signing().kid == key("active").kid
    assert key("next").activated_at is None


@pytest.mark.both_databases
def test_the_clock_deletes_keys_that_ended_a_month_ago_and_no_others() -> None:
    ring.signing()
    ended: dict[datetime, str] = {}
    for ago in (31 * DAY, 30 * DAY + MINUTE, 30 * DAY - MINUTE, timedelta(0)):
        old = key("active").kid
        keys.rotate(origin=ORIGIN, at_once=True)
        moment = timezone.now() - ago
        SigningKey.objects.filter(kid=old).update(verifies_until=moment)
        ended[moment] = old

    keys.keep(origin=ORIGIN)

    assert kids("retired") == set(list(ended.values())[2:])
    assert len(kids("active", "next")) == 2


# Dry run


@pytest.mark.both_databases
@pytest.mark.parametrize("options", [(), ("--now",), ("--json",), ("--json", "--now")])
def test_a_dry_run_changes_nothing(api: Api, alice: User, options: tuple[str, ...]) -> None:
    token = signed_in(api, alice)
    ripen()
    before, shown, events = everything(), api.get(JWKS).body, Event.objects.count()

    said = rotate("--dry-run", *options)

    if "--json" in options:
        told = json.loads(said)
        assert (told["rotated"], told["readyAt"], told["dryRun"]) == (True, None, True)
    else:
        assert said == "The next key would sign.\n"
    assert (everything(), api.get(JWKS).body, Event.objects.count()) == (before, shown, events)
    assert works(api, token)
    assert kid_of(signed_in(api, alice)) == kid_of(token)


def test_a_dry_run_that_is_early_says_so_as_well() -> None:
    ring.signing()
    before = everything()

    told = json.loads(rotate("--dry-run", "--json"))

    assert (told["rotated"], told["dryRun"]) == (False, True)
    assert told["readyAt"] == (key("next").created_at + 10 * MINUTE).isoformat(timespec="seconds")
    assert everything() == before


def test_a_dry_run_on_a_new_installation_makes_no_keys() -> None:
    rotate("--dry-run")

    assert SigningKey.objects.count() == 0

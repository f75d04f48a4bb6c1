"""What an access token says, and that any service can verify it offline."""

import json
import time
from http import HTTPStatus
from typing import Any
from uuid import UUID

import jwt
import pytest
import time_machine
from pytest_django import Settings

from accounts.models import Role, User
from authsvc import crypto
from tests.cast import Api, enrol
from tests.lineage import change, refused, row

pytestmark = pytest.mark.django_db

PUBLIC_URL = "http://127.0.0.1:8000"


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims, _signature = token.split(".")
    return json.loads(crypto.b64decode(header)), json.loads(crypto.b64decode(claims))


def jwks(api: Api) -> dict[str, Any]:
    answer = api.get("/.well-known/jwks.json")
    assert answer.status == HTTPStatus.OK
    return dict(answer.body)


def test_the_header_names_type_algorithm_and_key_and_nothing_else(api: Api, alice: User) -> None:
    header, _claims = parts(api.login(alice.email).data["accessToken"])

    signing, following = jwks(api)["keys"]
    assert header == {"typ": "at+jwt", "alg": "ES256", "kid": signing["kid"]}
    assert following["kid"] != signing["kid"]


def test_the_claims_are_those_of_the_contract_and_no_others(api: Api, alice: User) -> None:
    before = int(time.time())
    tokens = api.login(alice.email).data
    after = int(time.time())

    _header, claims = parts(tokens["accessToken"])
    issued_at, jti = claims.pop("iat"), claims.pop("jti")
    assert before <= issued_at <= after
    assert len(crypto.b64decode(jti)) == 16
    assert claims == {
        "iss": PUBLIC_URL,
        "aud": PUBLIC_URL,
        "sub": str(alice.id),
        "userId": str(alice.id),
        "client_id": "authsvc",
        "type": "access",
        "sid": tokens["session"]["id"],
        "exp": issued_at + tokens["expiresIn"],
        "auth_time": int(row(tokens)["authenticated_at"].timestamp()),
        "amr": ["pwd"],
        "acr": "aal1",
        "role": "user",
    }


def test_the_answer_around_it_says_how_long_both_tokens_live(api: Api, alice: User) -> None:
    answer = api.login(alice.email)

    assert answer.headers["Cache-Control"] == "no-store"
    tokens = answer.data
    assert set(tokens) == {
        "tokenType",
        "accessToken",
        "expiresIn",
        "refreshToken",
        "refreshExpiresIn",
        "deviceToken",
        "session",
    }
    assert (tokens["tokenType"], tokens["refreshExpiresIn"]) == ("Bearer", 7 * 24 * 3600)
    assert tokens["session"]["current"] is True
    assert UUID(tokens["session"]["id"]).version == 7


def test_lives_differ_by_up_to_a_tenth_so_that_clients_do_not_refresh_in_step(api: Api, alice: User) -> None:
    token = api.login(alice.email).data["refreshToken"]
    lives = [api.refresh(token).data["expiresIn"] for _ in range(60)]

    assert all(810 <= life <= 900 for life in lives)
    assert len(set(lives)) > 20


def test_no_two_tokens_share_a_name(api: Api, alice: User) -> None:
    token = api.login(alice.email).data["refreshToken"]

    names = {parts(api.refresh(token).data["accessToken"])[1]["jti"] for _ in range(20)}

    assert len(names) == 20


def test_staff_carry_their_role(api: Api, admin: User) -> None:
    _header, claims = parts(api.login(admin.email).data["accessToken"])

    assert (claims["role"], claims["sub"]) == ("admin", str(admin.id))


def test_a_refreshed_token_keeps_session_and_time_of_sign_in_and_takes_the_new_role(api: Api, alice: User) -> None:
    first = api.login(alice.email).data
    change(first, authenticated_at=row(first)["authenticated_at"].replace(year=2025))
    User.objects.filter(pk=alice.pk).update(role=Role.ADMIN)

    _header, claims = parts(api.refresh(first["refreshToken"]).data["accessToken"])

    assert claims["sid"] == first["session"]["id"]
    assert claims["auth_time"] == int(row(first)["authenticated_at"].timestamp())
    assert time.gmtime(claims["auth_time"]).tm_year == 2025
    assert claims["role"] == "admin"


def test_any_service_verifies_it_offline_from_the_published_keys(api: Api, alice: User) -> None:
    tokens = api.login(alice.email).data
    published = jwt.PyJWKSet.from_dict(jwks(api))
    token = tokens["accessToken"]

    key = published[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key.key, algorithms=["ES256"], audience=PUBLIC_URL, issuer=PUBLIC_URL)

    assert claims["sub"] == str(alice.id)
    with pytest.raises(jwt.InvalidSignatureError):  # and with that key nothing else verifies
        jwt.decode(f"{token[:-8]}AAAAAAAA", key.key, algorithms=["ES256"], audience=PUBLIC_URL)


def test_issuer_audience_and_life_follow_the_settings(api: Api, alice: User, settings: Settings) -> None:
    settings.JWT_ISSUER = "https://issuer.example.org"
    settings.JWT_AUDIENCE = "an-audience"
    settings.ACCESS_TOKEN_LIFETIME = settings.ACCESS_TOKEN_LIFETIME / 3

    tokens = api.login(alice.email).data

    _header, claims = parts(tokens["accessToken"])
    assert (claims["iss"], claims["aud"]) == ("https://issuer.example.org", "an-audience")
    assert 270 <= tokens["expiresIn"] <= 300
    assert api.me(tokens["accessToken"]).status == HTTPStatus.OK


def test_a_token_of_another_issuer_or_audience_stops_working_when_the_setting_changes(
    api: Api, alice: User, settings: Settings
) -> None:
    token = api.login(alice.email).data["accessToken"]

    settings.JWT_AUDIENCE = "https://elsewhere.example.org"

    assert refused(api.me(token)) == "invalid_token"


def test_it_works_to_its_last_second_and_not_one_longer(api: Api, alice: User) -> None:
    token = api.login(alice.email).data["accessToken"]
    _header, claims = parts(token)

    with time_machine.travel(claims["exp"] - 1, tick=False):
        assert api.me(token).status == HTTPStatus.OK
    with time_machine.travel(claims["exp"] + 1, tick=False):
        assert refused(api.me(token)) == "invalid_token"


def test_it_shows_its_bearer_and_nobody_else(api: Api, alice: User) -> None:
    other = enrol("dora@example.org", name="Dora")
    hers, his = api.login(alice.email).data, api.login(other.email).data

    assert api.me(hers["accessToken"]).data["id"] == str(alice.id)
    assert api.me(his["accessToken"]).data["id"] == str(other.id)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_named_in_any_case(api: Api, alice: User, scheme: str) -> None:
    token = api.login(alice.email).data["accessToken"]

    assert api.get("/api/v1/users/me", authorization=f"{scheme} {token}").status == HTTPStatus.OK


def test_cookies_sign_nobody_in(api: Api, alice: User) -> None:
    token = api.login(alice.email).data["accessToken"]

    for cookie in (f"accessToken={token}", f"Authorization={token}", "sessionid=abc; csrftoken=\x00", ";;;=\xff"):
        assert refused(api.get("/api/v1/users/me", cookie=cookie)) == "not_authenticated"

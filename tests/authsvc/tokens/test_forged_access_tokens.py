"""Forgeries. Each is refused as invalid, ends nothing, and makes the service connect to nobody."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from accounts.models import User
from authsvc import crypto
from authsvc.tokens.services import access
from authsvc.tokens.services.key_material import PrivateKey
from authsvc.tokens.services.keys import ring
from tests.cast import V1, Api, post_round
from tests.lineage import Tokens, refused, row, session_events

pytestmark = pytest.mark.django_db

ME = f"{V1}/users/me"
STRANGER = ec.generate_private_key(ec.SECP256R1())
Signer = Callable[[bytes], bytes]


def ecdsa(key: PrivateKey | None) -> Signer:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return lambda message: ECAlgorithm(ECAlgorithm.SHA256).sign(message, key)


def hs256(secret: bytes) -> Signer:
    return lambda message: hmac.digest(secret, message, hashlib.sha256)


def jws(header: object, claims: object, sign: Signer) -> str:
    message = ".".join(crypto.b64encode(json.dumps(part).encode()) for part in (header, claims))
    return f"{message}.{crypto.b64encode(sign(message.encode()))}"


def stranger_jwk(**more: Any) -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True), "alg": "ES256", "use": "sig", **more}


@dataclass
class Workshop:
    """A good token, taken apart, and the tools to put another one together."""

    good: str
    bait: str = ""
    other: str = ""
    header: dict[str, Any] = field(init=False)
    claims: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        header, claims, _signature = self.good.split(".")
        self.header, self.claims = json.loads(crypto.b64decode(header)), json.loads(crypto.b64decode(claims))
        self.ours = ring.signing()

    def ours_signed(self, header: dict[str, Any] | None = None, without: str = "", **claims: Any) -> str:
        """A token that our own key signed, as only a mistake of ours could."""
        kept = {name: value for name, value in {**self.claims, **claims}.items() if name != without}
        return jws({**self.header, **(header or {})}, kept, ecdsa(self.ours.private))

    def strangers(self, **header: Any) -> str:
        """A token with good claims that somebody else's key signed."""
        return jws({**self.header, **header}, self.claims, ecdsa(STRANGER))

    def with_hmac(self, secret: bytes) -> str:
        """A token whose signature is an HMAC."""
        return jws({**self.header, "alg": "HS256"}, self.claims, hs256(secret))

    def public(self, encoding: Encoding) -> bytes:
        return self.ours.public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)

    def with_signature(self, signature: str) -> str:
        return f"{self.good.rpartition('.')[0]}.{signature}"

    @property
    def signature(self) -> str:
        return self.good.rpartition(".")[2]


def flipped(text: str, place: int) -> str:
    data = bytearray(crypto.b64decode(text))
    data[place] ^= 1
    return crypto.b64encode(bytes(data))


FORGERIES: dict[str, Callable[[Workshop], str]] = {
    "no signature, alg none": lambda w: jws({**w.header, "alg": "none"}, w.claims, lambda _m: b""),
    "alg None in another case": lambda w: jws({**w.header, "alg": "nOnE"}, w.claims, lambda _m: b""),
    "alg none over the good signature": lambda w: jws(
        {**w.header, "alg": "none"}, w.claims, lambda _m: crypto.b64decode(w.signature)
    ),
    "no signature": lambda w: w.with_signature(""),
    "no alg": lambda w: jws({"typ": "at+jwt", "kid": w.ours.kid}, w.claims, ecdsa(w.ours.private)),
    "HMAC with our public key as PEM": lambda w: w.with_hmac(w.public(Encoding.PEM)),
    "HMAC with our public key as stripped PEM": lambda w: w.with_hmac(w.public(Encoding.PEM).strip()),
    "HMAC with our public key as DER": lambda w: w.with_hmac(w.public(Encoding.DER)),
    "HMAC with our public key as JWK": lambda w: w.with_hmac(json.dumps(w.ours.public_jwk).encode()),
    "HMAC with our public key as compact JWK": lambda w: w.with_hmac(
        json.dumps(w.ours.public_jwk, separators=(",", ":")).encode()
    ),
    "HMAC with our kid": lambda w: w.with_hmac(w.ours.kid.encode()),
    "HMAC with nothing": lambda w: w.with_hmac(b""),
    "a stranger's key under our kid": lambda w: w.strangers(),
    "a stranger's key under its own kid": lambda w: w.strangers(kid="stranger"),
    "kid that climbs folders": lambda w: w.strangers(kid="../../../../dev/null"),
    "kid that speaks SQL": lambda w: w.strangers(kid="' OR '1'='1' --"),
    "kid with a NUL": lambda w: w.strangers(kid="\0"),
    "kid with a lone surrogate": lambda w: w.strangers(kid="\ud800"),
    "kid that is empty": lambda w: w.strangers(kid=""),
    "kid that is an array": lambda w: w.strangers(kid=[w.ours.kid]),
    "kid that is an object": lambda w: w.strangers(kid={"kid": w.ours.kid}),
    "kid that is a number": lambda w: w.strangers(kid=0),
    "kid that is null": lambda w: w.strangers(kid=None),
    "no kid": lambda w: jws({"typ": "at+jwt", "alg": "ES256"}, w.claims, ecdsa(w.ours.private)),
    "embedded jwk": lambda w: w.strangers(jwk=stranger_jwk()),
    "embedded jwk under our kid": lambda w: w.strangers(jwk=stranger_jwk(kid=w.ours.kid)),
    "jku": lambda w: w.strangers(jku=w.bait, kid="stranger"),
    "jku under our kid": lambda w: w.strangers(jku=w.bait),
    "x5u": lambda w: w.strangers(x5u=w.bait, kid="stranger"),
    "kid that is an address": lambda w: w.strangers(kid=w.bait),
    "signature with its first bit changed": lambda w: w.with_signature(flipped(w.signature, 0)),
    "signature with its last bit changed": lambda w: w.with_signature(flipped(w.signature, -1)),
    "signature of zeros": lambda w: w.with_signature(crypto.b64encode(bytes(64))),
    "signature with another spelling of its last character": lambda w: w.with_signature(
        w.signature[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[w.signature[-1]]
    ),
    "signature with padding": lambda w: w.with_signature(w.signature + "=="),
    "signature with noise after it": lambda w: w.with_signature(w.signature + "!!"),
    "signature with noise in it": lambda w: w.with_signature(w.signature[:40] + "~" + w.signature[40:]),
    "signature with a line break in it": lambda w: w.with_signature(w.signature[:40] + "\n" + w.signature[40:]),
    "four parts": lambda w: f"{w.good}.{w.signature}",
    "two parts": lambda w: w.good.rpartition(".")[0],
    "an empty part in front": lambda w: f".{w.good}",
    "header that is no object": lambda w: jws(["at+jwt"], w.claims, ecdsa(w.ours.private)),
    "header that nests without end": lambda w: f"{crypto.b64encode(b'[' * 2500)}.{w.good.partition('.')[2]}",
    "claims that are no object": lambda w: jws(w.header, [w.claims], ecdsa(w.ours.private)),
    "other claims under the good signature": lambda w: ".".join(
        [w.good.split(".")[0], crypto.b64encode(json.dumps({**w.claims, "role": "admin"}).encode()), w.signature]
    ),
    "over by one second": lambda w: w.ours_signed(exp=int(time.time()) - 1),
    "end that is a word": lambda w: w.ours_signed(exp="never"),
    "issued far in the future": lambda w: w.ours_signed(iat=int(time.time()) + 3600, exp=int(time.time()) + 7200),
    "issue date that is a word": lambda w: w.ours_signed(iat="yesterday"),
    "issue date that is infinite": lambda w: w.ours_signed(iat=10**400),
    "not valid before tomorrow": lambda w: w.ours_signed(nbf=int(time.time()) + 86_400),
    "another issuer": lambda w: w.ours_signed(iss="https://other.example.org"),
    "an issuer that begins with ours": lambda w: w.ours_signed(iss=w.claims["iss"] + ".evil.example"),
    "another audience": lambda w: w.ours_signed(aud="https://other.example.org"),
    "no audience in the list": lambda w: w.ours_signed(aud=[]),
    "typ JWT": lambda w: w.ours_signed({"typ": "JWT"}),
    "typ of a logout token": lambda w: w.ours_signed({"typ": "logout+jwt"}),
    "typ null": lambda w: w.ours_signed({"typ": None}),
    "no typ": lambda w: jws({"alg": "ES256", "kid": w.ours.kid}, w.claims, ecdsa(w.ours.private)),
    "type refresh": lambda w: w.ours_signed(type="refresh"),
    "unknown crit": lambda w: w.ours_signed({"crit": ["exp-policy"], "exp-policy": "strict"}),
    "crit that is empty": lambda w: w.ours_signed({"crit": []}),
    "crit that is a word": lambda w: w.ours_signed({"crit": "exp"}),
    "crit with an unencoded payload": lambda w: w.ours_signed({"crit": ["b64"], "b64": False}),
    "user ids that differ": lambda w: w.ours_signed(userId=str(uuid4())),
    "user id that is no id": lambda w: w.ours_signed(sub="1", userId="1"),
    "session that is no id": lambda w: w.ours_signed(sid="' OR 1=1 --"),
    "session that is an array": lambda w: w.ours_signed(sid=[w.claims["sid"]]),
    "session that is null": lambda w: w.ours_signed(sid=None),
    **{
        f"no {claim}": lambda w, claim=claim: w.ours_signed(without=claim)  # type: ignore[misc]
        for claim in ("exp", "iat", "sub", "sid", "aud", "iss", "jti", "type", "userId")
    },
}

FOREIGN_SUBJECTS: dict[str, Callable[[Workshop], str]] = {
    "another user's name": lambda w: w.ours_signed(sub=str(uuid4()), userId=str(uuid4())),
    "session that never was": lambda w: w.ours_signed(sid=str(uuid4())),
    "session of somebody else": lambda w: w.ours_signed(sub=w.other, userId=w.other),
}


@pytest.fixture
def tokens(api: Api, alice: User) -> Tokens:
    data: Tokens = api.login(alice.email).data
    return data


@pytest.fixture
def bait() -> Iterator[tuple[str, list[str]]]:
    """A server that offers the stranger's keys to whoever comes, and writes down who came."""
    visits: list[str] = []

    class Offer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            visits.append(self.path)
            body = json.dumps({"keys": [stranger_jwk(kid="stranger")]}).encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature is the library's
            pass

    with HTTPServer(("127.0.0.1", 0), Offer) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/jwks.json", visits
        server.shutdown()
        thread.join()


def test_the_workshop_makes_a_token_that_works_when_it_forges_nothing(api: Api, tokens: Tokens) -> None:
    assert api.me(Workshop(tokens["accessToken"]).ours_signed()).status == HTTPStatus.OK


def test_a_forgery_is_refused(subtests: pytest.Subtests, api: Api, tokens: Tokens, bait: tuple[str, list[str]]) -> None:
    for forgery, forged in FORGERIES.items():
        with subtests.test(forgery=forgery):
            ring.forget()
            access.forget()  # each forgery comes to a process that has seen none
            address, visits = bait
            before = row(tokens)
            token = forged(Workshop(tokens["accessToken"], address))

            for answer in (api.me(token), api.post(f"{V1}/auth/logout", token=token)):
                assert refused(answer) == "invalid_token"

            assert visits == []
            assert row(tokens) == before
            assert session_events() == []
            assert api.me(tokens["accessToken"]).status == HTTPStatus.OK


def test_session_and_user_belong_together(subtests: pytest.Subtests, api: Api, tokens: Tokens, bob: User) -> None:
    for forgery, forged in FOREIGN_SUBJECTS.items():
        with subtests.test(forgery=forgery):
            access.forget()
            token = forged(Workshop(tokens["accessToken"], other=str(bob.id)))

            assert refused(api.me(token)) == "invalid_token"


def test_no_prefix_of_a_token_is_one(api: Api, tokens: Tokens) -> None:
    token = tokens["accessToken"]
    places = {*range(1, len(token), 5), *range(len(token) - 5, len(token))}

    assert {refused(api.me(token[:place])) for place in places} == {"invalid_token"}


def test_no_token_of_another_kind_is_a_bearer(api: Api, tokens: Tokens) -> None:
    before = row(tokens)
    api.register("ada@example.org")
    mailed = post_round()[-1].token

    for token in (tokens["refreshToken"], mailed, str(uuid4()), tokens["session"]["id"]):
        assert refused(api.me(token)) == "invalid_token"

    assert row(tokens) == before
    assert api.verify(mailed).status == HTTPStatus.OK


def test_an_access_token_is_no_refresh_token(api: Api, tokens: Tokens) -> None:
    before = row(tokens)

    assert refused(api.refresh(tokens["accessToken"])) == "invalid_token"

    assert row(tokens) == before


@pytest.mark.parametrize("kind", ["accessToken", "refreshToken"])
def test_no_session_token_verifies_an_address(api: Api, tokens: Tokens, kind: str) -> None:
    api.register("ada@example.org")

    answer = api.verify(tokens[kind])

    assert (answer.status, answer.problems) == (HTTPStatus.BAD_REQUEST, {"token": "invalid_token"})
    assert User.objects.get(email="ada@example.org").is_verified is False


def test_an_odd_authorization_header_is_refused(subtests: pytest.Subtests, api: Api, tokens: Tokens) -> None:
    for header in [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer  {token}",
        " Bearer {token}",
        "Bearer\t{token}",
        "Bearer {token} {token}",
        "Bearer {token},{token}",
        "Bearer {token}\0",
        "Bearer \0",
        "Bearer {token}\xe4",
        "Bearer ä.ö.ü",
        "Bearer \U0001f511",
        "B\xe9arer {token}",
        "Basic YWxpY2U6c2VjcmV0",
        "Basic {token}",
        "Token {token}",
        "{token}",
        'Bearer "{token}"',
        "Bearer token={token}",
        "Bearer " + "a" * 10_240,
        "Bearer " + "a." * 5120,
        "a" * 10_240,
        "Bearer .",
        "Bearer ..",
        "Bearer null",
        "Bearer undefined",
        "Digest username=x",
    ]:
        with subtests.test(header=header):
            answer = api.get(ME, authorization=header.replace("{token}", tokens["accessToken"]))

            assert refused(answer) == "invalid_token"


def test_without_the_header_the_code_says_so(api: Api) -> None:
    assert refused(api.get(ME)) == "not_authenticated"

"""Signed requests: what is right in everything is answered, once; whatever is not is the same 401."""

import base64
import time
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from audit.models import Event
from authsvc.tokens.models import ServiceClient, ServiceClientKey, UsedNonce
from tests.cast import V1, Answer, Api
from tests.signing import (
    ALGORITHMS,
    COMPONENTS,
    FORM,
    INTROSPECT,
    REVOKE,
    Draft,
    Service,
    byte_sequence,
    content_digest,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(params=ALGORITHMS)
def service(request: pytest.FixtureRequest, db: None) -> Service:
    return Service.created("billing", request.param)


def accepted(answer: Answer) -> bool:
    assert answer.status == HTTPStatus.OK, answer.body
    return bool(answer.body == {"active": False})


def refused(answer: Answer, *, nonces: int = 0) -> bool:
    """Whether the answer is the one refusal, and no nonce was used up by the request."""
    assert answer.status == HTTPStatus.UNAUTHORIZED, answer.body
    assert answer.headers["WWW-Authenticate"] == 'Signature realm="authsvc"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body["errors"] == [
        {"code": "invalid_signature", "field": None, "message": "The signature is missing or not valid."}
    ]
    assert answer.body.keys() == {"success", "message", "errors", "meta"}
    assert UsedNonce.objects.count() == nonces
    return True


def reasons() -> list[str]:
    return [event.metadata["reason"] for event in Event.objects.filter(action="machine.request.refused").order_by("id")]


# The good case


@pytest.mark.both_databases
def test_a_signed_request_is_answered(service: Service) -> None:
    assert accepted(Draft(service).send())

    nonce = UsedNonce.objects.get()
    assert str(nonce.key_id) == service.key_id
    assert 890 < nonce.expires_at.timestamp() - time.time() <= 900
    assert reasons() == []


def test_the_alias_without_a_version_is_signed_as_it_is_called(service: Service) -> None:
    assert accepted(Draft(service, path="/api/auth/introspect").send())
    assert refused(Api().raw("POST", "/api/auth/introspect", b"token=x", FORM, **Draft(service).headers()), nonces=1)


@pytest.mark.parametrize("path", [f"{INTROSPECT}?trace=1", f"{INTROSPECT}?a=%C3%A9&b=c+d&&", f"{INTROSPECT}?a"])
def test_the_query_string_is_covered(service: Service, path: str) -> None:
    assert accepted(Draft(service, path=path).send())
    for other in (INTROSPECT, f"{path}2", f"{INTROSPECT}?x={path[-1]}"):
        assert refused(Api().raw("POST", other, b"token=x", FORM, **Draft(service, path=path).headers()), nonces=1)


def test_the_target_is_that_of_the_public_address_whatever_the_host_header_says(service: Service) -> None:
    assert accepted(Draft(service).send(Host="localhost"))
    assert refused(Draft(service, origin="http://localhost").send(Host="localhost"), nonces=1)


def test_the_public_address_is_a_setting(service: Service, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://auth.example.com"

    assert accepted(Draft(service, origin="https://auth.example.com").send())
    assert refused(Draft(service).send(), nonces=1)


def test_the_algorithm_may_be_named(service: Service) -> None:
    assert accepted(Draft(service, parameters={"alg": service.algorithm}).send())


def test_parameters_may_come_in_any_order(service: Service) -> None:
    parameters = f';nonce="n-1";keyid="{service.key_id}";created={int(time.time())}'

    assert accepted(_by_hand(service, f'("@method" "@target-uri" "content-digest"){parameters}'))


@pytest.mark.parametrize(("spaces", "fits"), [(3, True), (2000, False)])
def test_the_field_may_be_spaced_freely_but_not_endlessly(service: Service, spaces: int, *, fits: bool) -> None:
    headers = Draft(service).headers()
    spaced = headers["Signature-Input"].replace('"@method" ', f'"@method"{" " * spaces}')

    answer = Api().raw("POST", INTROSPECT, b"token=x", FORM, **{**headers, "Signature-Input": spaced})

    assert accepted(answer) if fits else refused(answer)


def test_more_digests_than_ours_may_stand_beside_it(service: Service) -> None:
    digest = f"sha-512={byte_sequence(b'x' * 64)}, {content_digest(b'token=x')}"

    assert accepted(Draft(service, digest=digest).send())


def test_an_empty_body_has_a_digest_too(service: Service) -> None:
    answer = Draft(service, body=b"").send()

    assert answer.status == HTTPStatus.BAD_REQUEST
    assert answer.problems == {"token": "required"}


# What is missing


def test_without_one_of_the_headers(subtests: pytest.Subtests, service: Service) -> None:
    for header in ["Signature", "Signature-Input", "Content-Digest"]:
        with subtests.test(header=header):
            assert refused(Draft(service).send(**{header: ""}))


def test_without_any_signature_a_bearer_token_does_not_help(api: Api, alice: User) -> None:
    token = api.login(alice.email).data["accessToken"]

    for path in (INTROSPECT, REVOKE):
        assert refused(api.raw("POST", path, b"token=x", FORM))
        assert refused(api.raw("POST", path, b"token=x", FORM, authorization=f"Bearer {token}"))


def test_without_one_of_the_components(subtests: pytest.Subtests, service: Service) -> None:
    for missing in COMPONENTS:
        with subtests.test(missing=missing):
            components = tuple(name for name in COMPONENTS if name != missing)

            assert refused(Draft(service, components=components).send())


def test_without_one_of_the_parameters(subtests: pytest.Subtests, service: Service) -> None:
    for missing in ["created", "keyid", "nonce"]:
        with subtests.test(missing=missing):
            assert refused(Draft(service, without=(missing,)).send())


# What is other than it should be


def test_other_components(subtests: pytest.Subtests, service: Service) -> None:
    for components in [
        (),
        (*COMPONENTS, "content-type"),
        (*COMPONENTS, "@method"),
        tuple(reversed(COMPONENTS)),
        ("@authority",),
    ]:
        with subtests.test(components=components):
            assert refused(Draft(service, components=components).send())


def test_another_label(subtests: pytest.Subtests, service: Service) -> None:
    for label in ["sig", "sig2", "Sig1", "sig1, sig1"]:
        with subtests.test(label=label):
            assert refused(Draft(service, label=label).send())


def test_a_second_signature_beside_ours(service: Service) -> None:
    headers = Draft(service).headers()
    both = {
        name: f"{headers[name]}, {headers[name].replace('sig1=', 'sig2=', 1)}"
        for name in ("Signature", "Signature-Input")
    }

    assert refused(Draft(service).send(**both))
    assert refused(
        Draft(service).send(**{"Signature-Input": both["Signature-Input"], "Signature": headers["Signature"]})
    )


def test_signed_for_another_target(subtests: pytest.Subtests, service: Service) -> None:
    changes: list[dict[str, Any]] = [
        {"method": "PUT"},
        {"origin": "https://127.0.0.1:8000"},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://evil.example"},
        {"path": REVOKE},
        {"path": INTROSPECT + "/"},
        {"path": INTROSPECT.upper()},
        {"path": f"{INTROSPECT}?"},
    ]
    for change in changes:
        with subtests.test(change=change):
            headers = replace(Draft(service), **change).headers()

            assert refused(Api().raw("POST", INTROSPECT, b"token=x", FORM, **headers))


def test_parameters_that_are_not_as_they_should_be(subtests: pytest.Subtests, service: Service) -> None:
    changes: list[dict[str, Any]] = [
        {"keyid": str(uuid4())},
        {"keyid": "no key at all"},
        {"keyid": ""},
        {"keyid": b"12"},
        {"nonce": ""},
        {"nonce": "n" * 257},
        {"nonce": b"token"},
        {"nonce": 7},
        {"created": b'"1700000000"'},
        {"created": b"?1"},
        {"created": b"1700000000.5"},
        {"created": -1},
        {"created": 999_999_999_999_999},
        {"expires": b'"never"'},
        {"tag": "another application"},
        {"x-more": "1"},
        {"alg": b"?0"},
        {"alg": "none"},
        {"alg": "rsa-pss-sha512"},
    ]
    for change in changes:
        with subtests.test(change=change):
            assert refused(Draft(service, parameters=change).send())


def test_the_key_id_has_one_spelling(service: Service) -> None:
    for spelling in (service.key_id.upper(), service.key_id.replace("-", ""), f"{{{service.key_id}}}"):
        assert refused(Draft(service, parameters={"keyid": spelling}).send())


def test_a_parameter_given_twice(subtests: pytest.Subtests, service: Service) -> None:
    for name in ["created", "keyid", "nonce"]:
        with subtests.test(name=name):
            headers = Draft(service, parameters={"nonce": "n-1"}).headers()
            (again,) = [part for part in headers["Signature-Input"].split(";") if part.startswith(f"{name}=")]

            assert refused(
                Draft(service).send(**{**headers, "Signature-Input": f"{headers['Signature-Input']};{again}"})
            )


def test_parameters_changed_after_signing(service: Service) -> None:
    headers = Draft(service, parameters={"nonce": "one", "created": int(time.time()) - 5}).headers()
    given = headers["Signature-Input"]

    for changed in (
        given.replace('"one"', '"two"'),
        given.replace("created=", "created=1;created="),
        given.replace(";created", f";expires={int(time.time()) + 60};created"),
        given.replace(str(int(time.time()) - 5), str(int(time.time()) - 4)),
        given.replace('"@method"', '"@method";req'),
        given.replace('"content-digest"', '"content-digest";sf'),
        given.replace('"content-digest"', "content-digest"),
    ):
        if changed != given:
            assert refused(Draft(service).send(**{**headers, "Signature-Input": changed})), changed


def test_headers_that_are_no_structured_fields_of_that_kind(subtests: pytest.Subtests, service: Service) -> None:
    for header in [
        "",
        "sig1",
        "sig1=?1",
        "sig1=()",
        "sig1=:AAAA:",
        'sig1="text"',
        "sig1=(",
        "\xff\xfe",
        "sig1=" + "(" * 1000,
        "x" * 9000,
    ]:
        for name in ["Signature-Input", "Signature", "Content-Digest"]:
            with subtests.test(header=header, name=name):
                assert refused(Draft(service).send(**{name: header}))


def test_every_bit_of_the_signature_counts(service: Service) -> None:
    headers = Draft(service).headers()
    signature = base64.b64decode(headers["Signature"].removeprefix("sig1=:").removesuffix(":"))

    for place in range(0, len(signature), 7):
        forged = bytearray(signature)
        forged[place] ^= 1
        assert refused(Draft(service).send(**{**headers, "Signature": f"sig1={byte_sequence(bytes(forged))}"}))
    for other in (signature[:-1], signature + b"\0", b"", signature[:16]):
        assert refused(Draft(service).send(**{**headers, "Signature": f"sig1={byte_sequence(other)}"}))
    assert set(reasons()) == {"signature"}
    assert accepted(Api().raw("POST", INTROSPECT, b"token=x", FORM, **headers))


# The content


@pytest.mark.parametrize("body", [b"token=y", b"token=x&", b"", b"token=x&token_type_hint=a"])
def test_another_body_under_a_good_signature(service: Service, body: bytes) -> None:
    assert refused(Api().raw("POST", INTROSPECT, body, FORM, **Draft(service).headers()))
    assert reasons() == ["digest"]


def test_a_signed_digest_that_is_not_the_bodys(subtests: pytest.Subtests, service: Service) -> None:
    for digest in [
        content_digest(b"token=y"),
        content_digest(b"token=x")[:-4] + ":",
        content_digest(b"token=x").replace("sha-256", "sha-512"),
        content_digest(b"token=x").replace("sha-256", "md5"),
        content_digest(b"token=x").replace("sha-256", "id-sha-256"),
        "sha-256=::",
        "sha-256",
        'sha-256="text"',
        "sha-256=(:AAAA:)",
        f"{content_digest(b'token=y')}, {content_digest(b'token=x')}",
        f"{content_digest(b'token=x')}, {content_digest(b'token=x')}",
    ]:
        with subtests.test(digest=digest):
            assert refused(Draft(service, digest=digest).send())


# Time


@pytest.mark.parametrize(("age", "fits"), [(290, True), (-25, True), (302, False), (-33, False), (10**6, False)])
def test_a_signature_is_good_for_five_minutes_and_for_clocks_thirty_seconds_ahead(
    service: Service, age: int, *, fits: bool
) -> None:
    answer = Draft(service, parameters={"created": int(time.time()) - age}).send()

    assert accepted(answer) if fits else refused(answer)
    assert reasons() == ([] if fits else ["time"])


@pytest.mark.parametrize(("left", "fits"), [(30, True), (10**6, True), (-1, False), (-20, False), (-3600, False)])
def test_an_end_is_honoured_where_one_is_given(service: Service, left: int, *, fits: bool) -> None:
    now = int(time.time())
    answer = Draft(service, parameters={"created": now - 100, "expires": now + left}).send()

    assert accepted(answer) if fits else refused(answer)


def test_a_late_end_does_not_make_five_minutes_longer(service: Service) -> None:
    now = int(time.time())

    assert refused(Draft(service, parameters={"created": now - 400, "expires": now + 1000}).send())


# Once


@pytest.mark.both_databases
def test_the_same_request_again(service: Service) -> None:
    headers = Draft(service).headers()

    assert accepted(Api().raw("POST", INTROSPECT, b"token=x", FORM, **headers))
    for _ in range(3):
        assert refused(Api().raw("POST", INTROSPECT, b"token=x", FORM, **headers), nonces=1)
    assert reasons() == ["replay"] * 3


def test_the_same_nonce_in_another_request(service: Service) -> None:
    nonce = {"nonce": "the same"}

    assert accepted(Draft(service, parameters=nonce).send())
    assert refused(Draft(service, body=b"token=y", parameters=nonce).send(), nonces=1)
    assert refused(Draft(service, path=REVOKE, parameters=nonce).send(), nonces=1)


def test_nonces_of_different_keys_are_different() -> None:
    one, two = Service.created("one"), Service.created("two")

    assert accepted(Draft(one, parameters={"nonce": "the same"}).send())
    assert accepted(Draft(two, parameters={"nonce": "the same"}).send())


def test_a_refused_request_leaves_its_nonce_unused(service: Service) -> None:
    nonce = {"nonce": "the same"}

    assert refused(Draft(service, digest=content_digest(b"other"), parameters=nonce).send())
    assert accepted(Draft(service, parameters=nonce).send())


def test_a_request_refused_for_its_form_has_used_its_nonce(service: Service) -> None:
    headers = Draft(service, body=b"{}").headers()

    assert Api().raw("POST", INTROSPECT, b"{}", "application/json", **headers).codes == ["unsupported_media_type"]
    assert refused(Api().raw("POST", INTROSPECT, b"{}", "application/json", **headers), nonces=1)


# Keys


def test_two_live_keys_of_a_client_both_sign(service: Service) -> None:
    second = Service.created("billing", "ed25519", "--add-key")

    assert second.client_id == service.client_id
    assert accepted(Draft(service).send())
    assert accepted(Draft(second).send())


def test_a_key_does_not_sign_in_the_name_of_another(service: Service) -> None:
    other = Service.created("other", service.algorithm)

    assert refused(Draft(replace(other, key_id=service.key_id)).send())
    assert refused(Draft(replace(service, key_id=other.key_id)).send())
    assert set(reasons()) == {"signature"}


def test_the_algorithm_is_that_of_the_keys_record() -> None:
    """A public key is no shared secret: whoever knows it must not sign with it (CVE-2022-29217 and its kind)."""
    service = Service.created("billing", "ed25519")
    private = load_pem_private_key(service.secret.encode(), None)
    row = ServiceClientKey.objects.get()
    assert row.public_key is not None
    public = private.public_key()
    for text in (
        bytes(row.public_key),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ):
        forger = replace(service, algorithm="hmac-sha256", secret=base64.urlsafe_b64encode(text).decode())
        assert refused(Draft(forger).send())
        assert refused(Draft(forger, parameters={"alg": "hmac-sha256"}).send())


def test_a_key_pair_does_not_sign_for_a_shared_secret() -> None:
    service = Service.created("billing", "hmac-sha256")
    seed = base64.urlsafe_b64decode(service.secret)
    private = Ed25519PrivateKey.from_private_bytes(seed)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    forger = replace(service, algorithm="ed25519", secret=pem)

    assert refused(Draft(forger).send())
    assert refused(Draft(forger, parameters={"alg": "ed25519"}).send())


def test_an_algorithm_that_is_not_the_keys_is_refused_under_a_good_signature(service: Service) -> None:
    (other,) = set(ALGORITHMS) - {service.algorithm}

    assert refused(Draft(service, parameters={"alg": other}).send())
    assert reasons() == ["signature"]


def test_a_revoked_key_and_a_disabled_client(service: Service) -> None:
    ServiceClient.objects.update(disabled_at=timezone.now())
    assert refused(Draft(service).send())
    ServiceClient.objects.update(disabled_at=None)
    ServiceClientKey.objects.update(revoked_at=timezone.now())
    assert refused(Draft(service).send())
    assert reasons() == ["disabled client", "revoked key"]


def test_a_secret_that_this_node_can_not_open_is_our_problem_not_the_clients(settings: Settings) -> None:
    service = Service.created("billing", "hmac-sha256")
    settings.ENCRYPTION_KEYS = (b"another key for the tests, 32 by",)

    answer = Draft(service).send()

    assert (answer.status, answer.codes) == (HTTPStatus.SERVICE_UNAVAILABLE, ["unavailable"])
    assert answer.headers["Retry-After"] == "1"
    assert UsedNonce.objects.count() == 0


# The log


def test_the_log_tells_of_refusals_that_name_a_key_of_ours_and_of_no_others(service: Service) -> None:
    Draft(service, digest=content_digest(b"other")).send()
    Draft(replace(service, key_id=str(uuid4()))).send()
    Api().raw("POST", INTROSPECT, b"token=x", FORM)

    event = Event.objects.get(action="machine.request.refused")
    assert (event.outcome, event.resource, event.ip) == ("refused", f"client:{service.client_id}", "192.0.2.77")
    assert (event.actor, event.subject) == (None, None)
    assert event.metadata == {"client": "billing", "key": service.key_id, "reason": "digest"}


def test_other_routes_take_no_signature(service: Service) -> None:
    answer = Draft(service, path=f"{V1}/users/me", method="GET", body=b"").send("")

    assert answer.codes == ["not_authenticated"]
    assert UsedNonce.objects.count() == 0


def _by_hand(service: Service, signature_params: str) -> Answer:
    digest = content_digest(b"token=x")
    base = (
        f'"@method": POST\n"@target-uri": http://127.0.0.1:8000{INTROSPECT}\n"content-digest": {digest}\n'
        f'"@signature-params": {signature_params}'
    )
    return Api().raw(
        "POST",
        INTROSPECT,
        b"token=x",
        FORM,
        **{
            "Content-Digest": digest,
            "Signature-Input": f"sig1={signature_params}",
            "Signature": f"sig1={byte_sequence(service.sign(base.encode()))}",
        },
    )

"""Promises that every endpoint keeps, found by walking the URL map: a new one is held to them unasked."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client
from django.urls import get_resolver

from accounts.models import User
from authsvc.http.views import ApiView
from authsvc.tokens.authentication import ServiceClientAuthentication
from config import api_v1
from tests.api_document import routes
from tests.cast import V1, Answer, Api

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
# Whoever adds a line here has decided that strangers may call it.
PUBLIC = {
    ("auth/register", "POST"),
    ("auth/verify-email", "GET"),
    ("auth/verify-email", "POST"),
    ("auth/verify-email/resend", "POST"),
    ("auth/login", "POST"),
    ("auth/password/forgot", "POST"),
    ("auth/password/reset", "POST"),
    ("auth/password/policy", "GET"),
    ("auth/refresh", "POST"),
    ("auth/logout", "POST"),
    ("auth/not-me", "POST"),
    ("auth/restore", "POST"),
    ("auth/magic-link", "POST"),
    ("auth/magic-link/verify", "POST"),
    ("auth/email/confirm", "POST"),
    ("auth/email/undo", "POST"),
}
# Calls that ask for a proof of their own in the body, in a place of the bearer token.
PROOF_IN_BODY = {("auth/logout", "POST")}
NO_PROOFS = (
    "",
    "Bearer",
    "Bearer ",
    "Bearer x",
    "Bearer a.b.c",
    "Bearer äöü",
    "Bearer null",
    "Basic YWxpY2U6eA==",
    "Token x",
    "Bearer a b",
    "Bearer " + "x" * 10_000,
    "Bearer eyJhbGciOiJub25lIn0.e30.",
)
DOCUMENTS = ("/api/v1/schema", "/api/v1/docs", "/api/v1/redoc", "/.well-known/jwks.json", "/healthz", "/readyz")
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

pytestmark = pytest.mark.django_db


def endpoints() -> Iterator[tuple[str, str, Any]]:
    """Route, method and view of every operation of version 1."""
    for route, view in routes(api_v1.urlpatterns):
        for method in METHODS:
            if hasattr(view.view_class, method.lower()):
                yield route, method, view.view_class


EVERY = sorted((route, method) for route, method, _view in endpoints())
OF_MACHINES = {
    (route, method)
    for route, method, view in endpoints()
    if view.authentication_classes == (ServiceClientAuthentication,)
}
OF_PEOPLE = sorted(set(EVERY) - OF_MACHINES)
PATHS = sorted({route for route, _method in EVERY})
every_endpoint = pytest.mark.parametrize(("route", "method"), EVERY)
every_one_of_people = pytest.mark.parametrize(("route", "method"), OF_PEOPLE)


def call(api: Api, method: str, path: str, **headers: str) -> Answer:
    return api.raw(method, filled(path), b"", "", **headers)


def filled(path: str) -> str:
    """The path with an id where it takes one, of nothing that is."""
    return path.replace("{id}", "019a3c5e-7b5d-7c3e-9a51-6f1d2c3b4a59")


def assert_enveloped(answer: Answer) -> None:
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["API-Version"] == "v1"
    assert answer.body["success"] is (answer.status < HTTPStatus.BAD_REQUEST)
    assert answer.body["meta"]["requestId"] == answer.headers["X-Request-ID"]
    assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "Set-Cookie" not in answer.headers


def test_every_endpoint_is_a_view_of_ours() -> None:
    assert EVERY
    assert all(issubclass(view, ApiView) for _route, _method, view in endpoints())


def test_version_1_and_its_alias_are_the_same_views() -> None:
    mounted = dict(routes(get_resolver().url_patterns))

    for route, _method, view in endpoints():
        assert mounted[f"api/v1/{route}"].view_class is mounted[f"api/{route}"].view_class is view


@every_endpoint
def test_it_answers_strangers_in_the_envelope_and_nothing_is_kept(api: Api, route: str, method: str) -> None:
    for prefix in ("/api/v1/", "/api/"):
        answer = call(api, method, prefix + route)

        assert answer.status in {HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED}
        assert_enveloped(answer)


@every_one_of_people
def test_it_answers_a_signed_in_user_in_the_envelope_and_nothing_is_kept(
    api: Api, alice: User, route: str, method: str
) -> None:
    token = api.login(alice.email).data["accessToken"]

    answer = call(api, method, f"{V1}/{route}", authorization=f"Bearer {token}")

    assert answer.status != HTTPStatus.UNAUTHORIZED
    assert_enveloped(answer)


def test_strangers_may_call_what_is_on_the_list_and_nothing_else(api: Api) -> None:
    refused = {
        (route, method)
        for route, method in OF_PEOPLE
        if [error["code"] for error in call(api, method, f"{V1}/{route}").body.get("errors", ())]
        == ["not_authenticated"]
    }

    assert set(OF_PEOPLE) - refused == PUBLIC - PROOF_IN_BODY
    assert refused & PUBLIC == PROOF_IN_BODY


@every_one_of_people
def test_a_proof_that_is_none_gives_nothing(subtests: pytest.Subtests, api: Api, route: str, method: str) -> None:
    for proof in NO_PROOFS:
        with subtests.test(proof=proof):
            answer = call(api, method, f"{V1}/{route}", authorization=proof)

            assert_enveloped(answer)
            if (route, method) not in PUBLIC - PROOF_IN_BODY:
                assert answer.status == HTTPStatus.UNAUTHORIZED
                assert answer.codes == ["invalid_token"]
                assert answer.headers["WWW-Authenticate"] == 'Bearer realm="authsvc"'


def guarded() -> list[tuple[str, str]]:
    return [endpoint for endpoint in OF_PEOPLE if endpoint not in PUBLIC or endpoint in PROOF_IN_BODY]


@pytest.mark.parametrize(("route", "method"), guarded())
def test_a_token_counts_in_the_authorization_header_alone(api: Api, alice: User, route: str, method: str) -> None:
    token = api.login(alice.email).data["accessToken"]
    path = f"{V1}/{route}"

    elsewhere = [
        call(api, method, f"{path}?access_token={token}"),
        call(api, method, f"{path}?token={token}&Authorization=Bearer%20{token}"),
        call(api, method, path, Cookie=f"access_token={token}; Authorization=Bearer {token}; token={token}"),
        call(api, method, path, X_Access_Token=token),
        call(api, method, path, X_Authorization=f"Bearer {token}"),
        call(api, method, path, Proxy_Authorization=f"Bearer {token}"),
    ]

    assert [answer.codes for answer in elsewhere] == [["not_authenticated"]] * 6
    assert api.me(token).status == HTTPStatus.OK


def test_only_a_service_that_signs_may_call_what_machines_call(api: Api, admin: User) -> None:
    token = api.login(admin.email).data["accessToken"]

    assert {("auth/introspect", "POST"), ("auth/revoke", "POST")} == OF_MACHINES
    for route, method in OF_MACHINES:
        for proof in ({}, {"authorization": f"Bearer {token}"}, {"Signature": "sig1=:AAAA:"}):
            body, form = f"token={token}".encode(), "application/x-www-form-urlencoded"
            answer = api.raw(method, f"{V1}/{route}", body, form, **proof)
            assert answer.codes == ["invalid_signature"]
            assert answer.status == HTTPStatus.UNAUTHORIZED
            assert_enveloped(answer)
    assert api.me(token).status == HTTPStatus.OK


@pytest.fixture
def admin_cookie(admin: User) -> str:
    """The session cookie of an administrator who is signed in to the admin site."""
    session = SessionStore()
    session[SESSION_KEY] = str(admin.pk)
    session[BACKEND_SESSION_KEY] = "accounts.authentication.AdminBackend"
    session[HASH_SESSION_KEY] = admin.get_session_auth_hash()
    session.save()
    return f"sessionid={session.session_key}"


def test_the_cookie_is_good_for_the_admin_site(admin_cookie: str) -> None:
    answer = Client().get("/admin/", headers={"Cookie": admin_cookie})

    assert answer.status_code == HTTPStatus.OK


@every_endpoint
def test_a_cookie_signs_nobody_in_and_changes_nothing(api: Api, admin_cookie: str, route: str, method: str) -> None:
    path = f"{V1}/{route}"

    plain, with_cookie = call(api, method, path), call(api, method, path, Cookie=admin_cookie)

    assert (with_cookie.status, with_cookie.body.get("errors")) == (plain.status, plain.body.get("errors"))
    assert "Set-Cookie" not in with_cookie.headers
    assert "Cookie" not in with_cookie.headers.get("Vary", "")


@pytest.mark.parametrize("route", PATHS)
def test_a_method_that_is_not_declared_is_refused_before_anybody_is_asked_who_they_are(api: Api, route: str) -> None:
    declared = {method for place, method in EVERY if place == route}
    declared |= {"HEAD"} if "GET" in declared else set()

    for method in {*METHODS, "HEAD", "OPTIONS", "TRACE", "CONNECT"} - declared:
        answer = call(api, method, f"{V1}/{route}")

        assert answer.status == HTTPStatus.METHOD_NOT_ALLOWED, method
        assert set(answer.headers["Allow"].split(", ")) == declared


@pytest.mark.parametrize("route", sorted(route for route, method in EVERY if method == "GET"))
def test_head_answers_as_get_without_a_body(api: Api, alice: User, route: str) -> None:
    token = api.login(alice.email).data["accessToken"]
    path = f"{V1}/{route}"

    head = call(api, "HEAD", path, authorization=f"Bearer {token}", X_Request_ID="a-request-id")
    get = call(api, "GET", path, authorization=f"Bearer {token}", X_Request_ID="a-request-id")

    assert (head.status, head.raw) == (get.status, b"")
    assert head.headers == get.headers


@pytest.mark.parametrize("path", DOCUMENTS)
def test_head_works_on_documents_too(api: Api, path: str) -> None:
    head, get = call(api, "HEAD", path), call(api, "GET", path)

    assert (head.status, get.status, head.raw) == (HTTPStatus.OK, HTTPStatus.OK, b"")
    assert head.headers.keys() == get.headers.keys()
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_documents_have_the_security_headers_and_set_no_cookie(api: Api, admin_cookie: str, path: str) -> None:
    answer = call(api, "GET", path, Cookie=admin_cookie)

    differing = {name for name, value in SECURITY_HEADERS.items() if answer.headers.get(name) != value}
    assert differing <= {"Content-Security-Policy", "Cross-Origin-Resource-Policy"}
    assert answer.headers["Content-Security-Policy"].startswith("default-src ")
    assert "Set-Cookie" not in answer.headers
    kept = {"/api/v1/schema": "public, max-age=300", "/.well-known/jwks.json": "public, max-age=300"}
    assert answer.headers["Cache-Control"] == kept.get(path, "no-store")


@pytest.mark.parametrize(("route", "method"), [endpoint for endpoint in OF_PEOPLE if endpoint[1] != "GET"])
def test_a_field_that_nobody_declared_is_refused_everywhere(api: Api, alice: User, route: str, method: str) -> None:
    token = api.login(alice.email).data["accessToken"]
    before = User.objects.values().get()

    body, path = b'{"role": "admin"}', filled(f"{V1}/{route}")
    answer = api.raw(method, path, body, "application/json", authorization=f"Bearer {token}")

    assert answer.status == HTTPStatus.BAD_REQUEST
    assert answer.problems["role"] == "unknown_field"
    assert User.objects.values().get() == before
    assert api.me(token).status == HTTPStatus.OK


@pytest.mark.parametrize(("route", "method"), [endpoint for endpoint in OF_PEOPLE if endpoint[1] != "GET"])
def test_a_form_is_refused_everywhere(api: Api, alice: User, route: str, method: str) -> None:
    token = api.login(alice.email).data["accessToken"]

    for content_type in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        answer = api.raw(method, filled(f"{V1}/{route}"), b"a=b", content_type, authorization=f"Bearer {token}")
        assert answer.codes == ["unsupported_media_type"]
    assert api.me(token).status == HTTPStatus.OK

"""The OpenAPI document: valid, complete, committed, and true."""

import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import pytest
from django.core.management import call_command
from django.urls import get_resolver
from openapi_spec_validator import OpenAPIV31SpecValidator
from pytest_django import Settings

from accounts.models import User
from authsvc.errors import ErrorCode
from config import api_v1
from tests.api_document import (
    COMMITTED,
    METHODS,
    broken_promises,
    document,
    misfits,
    operations,
    parsed,
    resolved,
    routes,
)
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Answer, Api, Letter, post_round

SCHEMA = f"{V1}/schema"
FORM = "application/x-www-form-urlencoded"
STANDARDS = {"/.well-known/jwks.json", "/healthz", "/readyz"}


def test_the_document_is_valid_openapi_3_1() -> None:
    assert document()["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document()).iter_errors()) == []


def test_the_committed_document_is_the_one_the_code_makes_without_a_warning(tmp_path: Path) -> None:
    made = tmp_path / "openapi.yaml"

    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(made))

    assert made.read_text(encoding="utf-8") == COMMITTED.read_text(encoding="utf-8")


def test_it_has_exactly_the_routes_of_version_1_and_the_standard_documents() -> None:
    expected = {
        (f"{V1}/{route}", method.upper())
        for route, view in routes(api_v1.urlpatterns)
        for method in METHODS
        if hasattr(view.view_class, method)
    }

    listed = {(path, method) for path, method, _operation in operations()}

    assert listed == expected | {(path, "GET") for path in STANDARDS}


def test_it_says_nothing_of_the_admin_of_pages_or_of_the_unversioned_alias() -> None:
    everything = COMMITTED.read_text(encoding="utf-8")

    assert {path for path in document()["paths"] if not path.startswith(f"{V1}/")} == STANDARDS
    for word in ("/admin", "/mailbox", "sessionid", "csrftoken"):
        assert word not in everything


def test_every_route_of_the_project_is_documented_or_known_not_to_be() -> None:
    pages = {
        "confirm-email",
        "forgot-password",
        "not-me",
        "reset-password",
        "restore",
        "undo-email-change",
        "verify-email",
        "",
    }
    undocumented = {"api/v1/schema", "api/v1/docs", "api/v1/redoc"} | pages
    found = {
        route
        for route, _view in routes(get_resolver().url_patterns)
        if not route.startswith(("admin/", "mailbox")) and f"/{route}" not in document()["paths"]
    }
    aliases = {f"api/{path.removeprefix(f'{V1}/')}" for path in document()["paths"] if path.startswith(V1)}

    assert found == undocumented | aliases


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/html,application/xhtml+xml,*/*;q=0.8"])
def test_it_is_served_as_json_by_default(api: Api, accept: str | None) -> None:
    answer = api.get(SCHEMA, **({} if accept is None else {"Accept": accept}))

    assert answer.status == HTTPStatus.OK
    assert answer.headers["Content-Type"] == "application/vnd.oai.openapi+json"
    assert answer.headers["Vary"] == "Accept"
    assert answer.body == document()


@pytest.mark.parametrize("accept", ["application/yaml", "application/vnd.oai.openapi+yaml", "text/yaml"])
def test_it_is_served_as_yaml_to_who_asks_for_that(api: Api, accept: str) -> None:
    answer = api.get(SCHEMA, Accept=accept)

    assert answer.headers["Content-Type"] == "application/yaml"
    assert parsed(answer.raw) == document()


def test_the_language_of_whoever_asks_first_does_not_stick(api: Api) -> None:
    assert api.get(SCHEMA, Accept_Language="de").body == api.get(SCHEMA, Accept_Language="fr").body == document()


def test_every_operation_is_described_grouped_and_named() -> None:
    groups = {tag["name"]: tag["description"] for tag in document()["tags"]}
    names = [operation["operationId"] for _path, _method, operation in operations()]

    assert len(set(names)) == len(names)
    assert all(groups.values())
    for path, method, operation in operations():
        place = f"{method} {path}"
        assert operation["summary"], place
        assert operation["description"], place
        assert operation["summary"].rstrip(".") != operation["description"].rstrip("."), place
        assert {*operation["tags"]} <= groups.keys(), place


def test_every_component_is_closed_and_described_and_every_property_has_an_example() -> None:
    for name, schema in document()["components"]["schemas"].items():
        if "enum" in schema:
            assert set(schema["examples"]) <= set(schema["enum"]), name
            continue
        assert schema["type"] == "object", name
        assert schema["additionalProperties"] is False, name
        assert schema["description"], name
        for key, inner in schema["properties"].items():
            assert "examples" in resolved(inner) or "$ref" in {**inner, **inner.get("items", {})}, (name, key)


def test_every_example_fits_its_schema() -> None:
    checked = 0
    for _path, _method, operation in operations():
        for carrier in (operation.get("requestBody"), *operation["responses"].values()):
            media = resolved(carrier or {"content": {}}).get("content") or {}
            for content in media.values():
                shown = [content["example"]] if "example" in content else []
                shown += [resolved(example)["value"] for example in content.get("examples", {}).values()]
                assert shown
                for example in shown:
                    assert misfits(content["schema"], example) == []
                    checked += 1
    assert checked > 100


def test_no_component_is_named_twice_over() -> None:
    names = set(document()["components"]["schemas"])

    assert {
        name for name in names if name.endswith(("Request", "Enum", "Object")) or name.startswith("Patched")
    } == set()
    assert {"LoginInput", "RegisterInput", "ProfileInput", "User", "Tokens", "Session", "Error", "Locale"} <= names


def test_passwords_and_tokens_that_come_in_never_go_out() -> None:
    for name, schema in document()["components"]["schemas"].items():
        for key, inner in schema.get("properties", {}).items():
            if name.endswith("Input") and key in {"password", "token", "refreshToken"}:
                assert inner["writeOnly"] is True, (name, key)
            if key == "password":
                assert inner["format"] == "password", name
                assert name.endswith("Input")


def test_the_codes_of_errors_are_a_closed_list() -> None:
    assert set(document()["components"]["schemas"]["ErrorCode"]["enum"]) == {code.value for code in ErrorCode}


def test_signed_in_operations_name_the_scheme_and_their_challenge() -> None:
    assert document()["components"]["securitySchemes"]["bearerAuth"]["scheme"] == "bearer"
    assert "security" not in document()
    secured = {
        (path.removeprefix(V1), method): operation["security"]
        for path, method, operation in operations()
        if "security" in operation
    }
    assert secured == {
        ("/users/me", "GET"): [{"bearerAuth": []}],
        ("/users/me", "PATCH"): [{"bearerAuth": []}],
        ("/users/me", "DELETE"): [{"bearerAuth": []}],
        ("/users/me/email", "POST"): [{"bearerAuth": []}],
        ("/users/me/devices", "GET"): [{"bearerAuth": []}],
        ("/users/me/devices/{id}", "DELETE"): [{"bearerAuth": []}],
        ("/users/me/export", "GET"): [{"bearerAuth": []}],
        ("/auth/password/change", "POST"): [{"bearerAuth": []}],
        ("/users/me/sessions", "GET"): [{"bearerAuth": []}],
        ("/users/me/sessions", "DELETE"): [{"bearerAuth": []}],
        ("/users/me/sessions/{id}", "DELETE"): [{"bearerAuth": []}],
        ("/auth/reauthenticate", "POST"): [{"bearerAuth": []}],
        ("/auth/logout-all", "POST"): [{"bearerAuth": []}],
        ("/auth/logout", "POST"): [{"bearerAuth": []}, {}],
        ("/auth/introspect", "POST"): [{"messageSignature": []}],
        ("/auth/revoke", "POST"): [{"messageSignature": []}],
    }


def test_headers_stand_where_they_matter() -> None:
    for path, method, operation in operations():
        for status, answer in operation["responses"].items():
            headers, place = set(resolved(answer)["headers"]), (path, method, status)
            assert "X-Request-ID" in headers, place
            assert ("API-Version" in headers) == path.startswith(V1), place
            assert ("WWW-Authenticate" in headers) == (status == "401"), place
            assert ("Retry-After" in headers) == (status == "503" and path != "/readyz"), place


def test_every_operation_lists_what_any_of_them_can_answer() -> None:
    for path, method, operation in operations():
        listed = set(operation["responses"])
        if path.startswith(V1):
            assert {"400", "403", "406", "413", "500", "503"} <= listed, (path, method)
            assert ("415" in listed) == (method != "GET"), (path, method)
        assert len([status for status in listed if status.startswith("2")]) == 1, (path, method)


@pytest.mark.django_db
@pytest.mark.both_databases
def test_real_answers_are_as_the_document_says(api: Api) -> None:
    seen: set[tuple[str, str]] = set()

    def check(method: str, path: str, answer: Answer, status: HTTPStatus) -> Answer:
        assert answer.status == status, answer.body
        assert broken_promises(path, method, answer) == [], (method, path)
        seen.add((method, path))
        return answer

    register, verify, resend = (f"{V1}/auth/{name}" for name in ("register", "verify-email", "verify-email/resend"))
    login, refresh, logout = (f"{V1}/auth/{name}" for name in ("login", "refresh", "logout"))
    check("POST", register, api.register("ada@example.org"), HTTPStatus.CREATED)
    check("POST", resend, api.post(resend, {"email": "ada@example.org"}), HTTPStatus.ACCEPTED)
    token = post_round()[-1].token
    check("POST", verify, api.verify(token), HTTPStatus.OK)
    check("GET", verify, api.get(f"{verify}?token={token}"), HTTPStatus.OK)
    tokens = check("POST", login, api.login("ada@example.org", PASSWORD, deviceName="Laptop"), HTTPStatus.OK).data
    access = tokens["accessToken"]
    check("GET", f"{V1}/users/me", api.me(access), HTTPStatus.OK)
    check("PATCH", f"{V1}/users/me", api.patch(f"{V1}/users/me", {"locale": "fr"}, token=access), HTTPStatus.OK)
    tokens = check("POST", refresh, api.refresh(tokens["refreshToken"]), HTTPStatus.OK).data
    access, own = tokens["accessToken"], f"{V1}/users/me/sessions"
    proof = api.post(f"{V1}/auth/reauthenticate", {"password": PASSWORD}, token=access)
    check("POST", f"{V1}/auth/reauthenticate", proof, HTTPStatus.OK)
    other = api.login("ada@example.org").data["session"]["id"]
    check("GET", own, api.get(f"{own}?limit=1", token=access), HTTPStatus.OK)
    check("DELETE", f"{own}/{{id}}", api.delete(f"{own}/{other}", token=access), HTTPStatus.OK)
    check("DELETE", own, api.delete(own, token=access), HTTPStatus.OK)
    check("POST", logout, api.post(logout, token=access), HTTPStatus.OK)
    access = api.login("ada@example.org").data["accessToken"]
    check("POST", f"{V1}/auth/logout-all", api.post(f"{V1}/auth/logout-all", token=access), HTTPStatus.OK)
    _walk_the_rest(api, check)
    for path in STANDARDS:
        check("GET", path, api.get(path), HTTPStatus.OK)

    of_machines = {(method, path) for path, method, operation in operations() if operation["tags"] == ["machines"]}
    assert seen == {(method, path) for path, method, _operation in operations()} - of_machines


def _walk_the_rest(api: Api, check: Callable[[str, str, Answer, HTTPStatus], Answer]) -> None:
    """Call what changes an account for good, in an order in which each call leaves a way in to the next."""
    ada, ida = "ada@example.org", "ida@example.org"

    def post(path: str, body: object, status: HTTPStatus = HTTPStatus.OK, token: str | None = None) -> Answer:
        return check("POST", f"{V1}{path}", api.post(f"{V1}{path}", body, token=token), status)

    def newest(template: str) -> Letter:
        return next(letter for letter in reversed(post_round()) if template in letter.text)

    post("/auth/magic-link", {"email": ada}, HTTPStatus.ACCEPTED)
    code = re.search(r"\b(\d{4} \d{4})\b", post_round()[-1].text)
    assert code is not None
    access = post("/auth/magic-link/verify", {"email": ada, "code": code[1]}).data["accessToken"]
    devices = f"{V1}/users/me/devices"
    known = check("GET", devices, api.get(devices, token=access), HTTPStatus.OK).data
    check("DELETE", f"{devices}/{{id}}", api.delete(f"{devices}/{known[0]['id']}", token=access), HTTPStatus.OK)
    check("GET", f"{V1}/auth/password/policy", api.get(f"{V1}/auth/password/policy"), HTTPStatus.OK)
    post("/auth/password/change", {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}, token=access)
    post_round()
    post("/users/me/email", {"newEmail": ida}, HTTPStatus.ACCEPTED, token=access)
    by_address = {letter.to: letter for letter in post_round()}
    post("/auth/email/confirm", {"token": by_address[ida].token})
    post("/auth/email/undo", {"token": by_address[ada].token})
    post("/auth/password/forgot", {"email": ada}, HTTPStatus.ACCEPTED)
    post("/auth/password/reset", {"token": newest("#token=").token, "newPassword": PASSWORD})
    post_round()
    api.login(ada)
    post("/auth/not-me", {"token": newest("#token=").token})
    post("/auth/password/reset", {"token": newest("#token=").token, "newPassword": PASSWORD})
    access = api.login(ada).data["accessToken"]
    post_round()
    check("GET", f"{V1}/users/me/export", api.get(f"{V1}/users/me/export", token=access), HTTPStatus.OK)
    check("DELETE", f"{V1}/users/me", api.delete(f"{V1}/users/me", token=access), HTTPStatus.ACCEPTED)
    post("/auth/restore", {"token": newest("#token=").token})


@pytest.mark.django_db
def test_real_refusals_are_as_the_document_says(api: Api, alice: User, settings: Settings) -> None:
    login, me, register = f"{V1}/auth/login", f"{V1}/users/me", f"{V1}/auth/register"
    introspect = f"{V1}/auth/introspect"
    settings.REGISTRATION_NEUTRAL = False
    access, own = api.login(alice.email).data["accessToken"], f"{V1}/users/me/sessions"
    refusals = [
        ("POST", login, api.post(login, {"email": "x"}), HTTPStatus.BAD_REQUEST),
        ("POST", login, api.login(alice.email, "wrong password, well typed"), HTTPStatus.UNAUTHORIZED),
        ("POST", register, api.register(alice.email), HTTPStatus.CONFLICT),
        ("POST", register, api.register("new@example.org", "short"), HTTPStatus.BAD_REQUEST),
        ("GET", me, api.get(me), HTTPStatus.UNAUTHORIZED),
        ("GET", me, api.get(me, Host="evil.example"), HTTPStatus.BAD_REQUEST),
        ("GET", me, api.get(me, Accept="text/html"), HTTPStatus.NOT_ACCEPTABLE),
        ("POST", login, api.raw("POST", login, b"x" * 70_000, "application/json"), HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        ("POST", login, api.raw("POST", login, b"a=b", "text/plain"), HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        ("GET", own, api.get(f"{own}?page=9", token=access), HTTPStatus.BAD_REQUEST),
        ("DELETE", f"{own}/{{id}}", api.delete(f"{own}/{alice.pk}", token=access), HTTPStatus.NOT_FOUND),
        ("DELETE", f"{own}/{{id}}", api.delete(f"{own}/1", token=access), HTTPStatus.NOT_FOUND),
        ("POST", introspect, api.raw("POST", introspect, b"token=x", FORM), HTTPStatus.UNAUTHORIZED),
    ]

    for method, path, answer, status in refusals:
        assert answer.status == status, answer.body
        assert broken_promises(path, method, answer) == [], (method, path)

"""One shape for every success and every error, whatever is thrown at the service."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import pytest

from accounts.models import User
from tests.api_document import misfits
from tests.cast import V1, Api
from tests.contract.failing_urls import SECRET
from tests.envelope_rules import (
    CREDENTIALS,
    ERROR,
    JSON,
    LOGIN,
    ME,
    REGISTER,
    VERIFY,
    assert_error,
    send,
)

LANGUAGES = ("en", "de", "es", "fr")

pytestmark = pytest.mark.django_db


@pytest.mark.both_databases
def test_a_success_has_this_shape_and_no_other(api: Api, alice: User) -> None:
    answer = api.login(alice.email)

    assert list(answer.body) == ["success", "message", "data", "meta"]
    assert answer.body["success"] is True
    assert answer.body["message"] == "Signed in."
    assert list(answer.body["meta"]) == ["timestamp", "requestId"]
    assert answer.body["meta"]["timestamp"].endswith("Z")
    age = datetime.now(UTC) - datetime.fromisoformat(answer.body["meta"]["timestamp"])
    assert abs(age.total_seconds()) < 5
    assert answer.headers["Content-Type"] == JSON


def test_an_answer_without_data_says_null(api: Api, alice: User) -> None:
    tokens = api.login(alice.email).data

    answer = api.post(f"{V1}/auth/logout", token=tokens["accessToken"])

    assert (answer.status, answer.body["data"], answer.body["message"]) == (HTTPStatus.OK, None, "Signed out.")


@pytest.mark.both_databases
def test_an_error_has_this_shape_and_no_other(api: Api) -> None:
    answer = api.post(LOGIN, {"email": "no address"})

    assert_error(answer, HTTPStatus.BAD_REQUEST)
    assert list(answer.body) == ["success", "message", "errors", "meta"]
    assert answer.body["success"] is False
    assert set(answer.body["meta"]) == {"timestamp", "statusCode", "requestId"}
    assert [set(problem) for problem in answer.body["errors"]] == [{"code", "field", "message"}] * 2
    assert answer.problems == {"email": "invalid_format", "password": "required"}


@pytest.mark.both_databases  # the embedded profile has paths of its own
class TestPaths:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_every_other_spelling_is_a_404_in_the_envelope(
        self, subtests: pytest.Subtests, api: Api, method: str
    ) -> None:
        for path in [
            "/api/",
            "/api/v1/",
            "/api/v1",
            "/api/v2/users/me",
            "/api/v1/nothing",
            "/api/v1/users/me/",
            "/api/v1/auth/login/",
            "/api/v1//users/me",
            "/api//v1/users/me",
            "/api/v1/./users/me",
            "/api/v1/users/../users/me",
            "/api/V1/users/me",
            "/API/v1/users/me",
            "/api/v1/Users/me",
            "/api/v1/users/me.json",
            "/api/v1/users/me.css",
            "/api/v1/users/me%00",
            "/api/v1/users/me%20",
            "/api/v1/users%2Fme/x",
            "/api/users/me/",
            "/api/schema",
            "/api/v1/schema/",
            "/api/v1/docs/",
            "/api/%0d%0aEvil:%201",
            "/api/%3E%3B%20rel=%22evil%22",
            "/api/%F0%9F%8E%89",
            "/api/%FF%FE",
            "/.well-known/",
            "/.well-known/jwks.json/",
            "/.well-known/JWKS.json",
            "/healthz/",
            "/readyz/",
            "/Healthz",
        ]:
            with subtests.test(path=path):
                assert_error(api.raw(method, path), HTTPStatus.NOT_FOUND, "not_found")

    def test_a_browser_gets_the_envelope_too_under_api(self, api: Api) -> None:
        assert_error(api.get("/api/v1/nothing", Accept="text/html"), HTTPStatus.NOT_FOUND, "not_found")

    def test_a_browser_gets_a_page_elsewhere(self, api: Api) -> None:
        answer = api.get("/nothing", Accept="text/html")

        assert answer.status == HTTPStatus.NOT_FOUND
        assert answer.headers["Content-Type"].startswith("text/html")
        assert answer.headers["Cache-Control"] == "no-store"

    def test_the_unversioned_alias_names_the_versioned_path(self, api: Api, alice: User) -> None:
        token = api.login(alice.email).data["accessToken"]

        alias, versioned = api.get("/api/users/me?x=1", token=token), api.get(ME, token=token)

        assert alias.data == versioned.data
        assert alias.headers["Link"] == '</api/v1/users/me>; rel="canonical"'
        assert "Link" not in versioned.headers
        assert "Deprecation" not in alias.headers

    def test_a_path_that_is_none_gets_no_link_and_no_header_of_its_own(
        self, subtests: pytest.Subtests, api: Api
    ) -> None:
        for path in ["/api/%0d%0aEvil:%201", "/api/%3E%3B%20rel=%22evil%22", "/api/%F0%9F%8E%89"]:
            with subtests.test(path=path):
                answer = api.get(path)

                assert answer.status == HTTPStatus.NOT_FOUND
                assert "Link" not in answer.headers
                assert "Evil" not in answer.headers

    def test_every_answer_of_the_api_names_its_version(self, subtests: pytest.Subtests, api: Api) -> None:
        for path in [ME, "/api/users/me", "/api/nothing", "/api/v1/docs", "/api/v1/schema", "/api/v1/nothing", LOGIN]:
            with subtests.test(path=path):
                assert api.get(path).headers["API-Version"] == "v1"

    def test_what_is_not_the_api_names_none(self, subtests: pytest.Subtests, api: Api) -> None:
        for path in ["/healthz", "/readyz", "/.well-known/jwks.json", "/", "/nothing"]:
            with subtests.test(path=path):
                assert "API-Version" not in api.get(path).headers


class TestMethods:
    @pytest.mark.parametrize(
        ("path", "allowed"),
        [
            (LOGIN, "POST"),
            (REGISTER, "POST"),
            (f"{V1}/users/me/devices", "GET, HEAD"),
            (VERIFY, "GET, HEAD, POST"),
            (f"{V1}/schema", "GET, HEAD"),
            (f"{V1}/docs", "GET, HEAD"),
            (f"{V1}/redoc", "GET, HEAD"),
            ("/.well-known/jwks.json", "GET, HEAD"),
            ("/healthz", "GET, HEAD"),
            ("/readyz", "GET, HEAD"),
        ],
    )
    def test_a_method_that_is_not_there_is_a_405_that_names_those_that_are(
        self, subtests: pytest.Subtests, api: Api, path: str, allowed: str
    ) -> None:
        for method in ["PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "dispatch"]:
            with subtests.test(method=method):
                answer = api.raw(method, path)

                assert_error(answer, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed")
                assert sorted(answer.headers["Allow"].split(", ")) == sorted(allowed.split(", "))

    def test_a_method_cannot_be_overridden(self, api: Api, alice: User) -> None:
        token = api.login(alice.email).data["accessToken"]

        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            answer = api.raw("POST", ME, b"{}", JSON, authorization=f"Bearer {token}", **{name: "PATCH"})
            assert_error(answer, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed")


class TestContentNegotiation:
    def test_what_cannot_be_answered_as_json_is_a_406(self, subtests: pytest.Subtests, api: Api) -> None:
        for accept in [
            "text/html",
            "application/xml",
            "image/*",
            "application/json;q=0",
            "text/html, application/xml;q=0.9",
        ]:
            with subtests.test(accept=accept):
                assert_error(send(api, CREDENTIALS, Accept=accept), HTTPStatus.NOT_ACCEPTABLE, "not_acceptable")

    def test_what_can_be_answered_as_json_is(self, subtests: pytest.Subtests, api: Api) -> None:
        for accept in [
            "*/*",
            "application/json",
            "application/*",
            "Application/JSON",
            "text/html;q=0.9, application/json;q=0.1",
            "text/html, */*;q=0.1",
            "application/json; charset=utf-8",
        ]:
            with subtests.test(accept=accept):
                assert_error(send(api, CREDENTIALS, Accept=accept), HTTPStatus.UNAUTHORIZED, "invalid_credentials")

    @pytest.mark.parametrize("path", [LOGIN, REGISTER, f"{V1}/auth/refresh", f"{V1}/auth/logout"])
    def test_a_body_of_another_type_is_a_415(self, subtests: pytest.Subtests, api: Api, path: str) -> None:
        for content_type in [
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/plain",
            "text/json",
            "application/xml",
            "application/merge-patch+json",
            "application/json; charset=latin-1",
            "application/json; charset=utf-16",
            "application/jsonp",
            "*/*",
            "garbage",
            "",
        ]:
            with subtests.test(content_type=content_type):
                answer = send(api, CREDENTIALS, path, content_type)

                assert_error(answer, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")

    def test_json_in_utf_8_is_taken_however_it_is_spelled(self, subtests: pytest.Subtests, api: Api) -> None:
        for content_type in [
            JSON,
            "Application/JSON",
            "application/json; charset=utf-8",
            'application/json;charset="UTF-8"',
        ]:
            with subtests.test(content_type=content_type):
                answer = send(api, CREDENTIALS, LOGIN, content_type)

                assert_error(answer, HTTPStatus.UNAUTHORIZED, "invalid_credentials")

    def test_a_form_signs_nobody_in(self, api: Api, alice: User) -> None:
        body = b"email=alice%40example.org&password=correct+Horse+7+battery"

        answer = send(api, body, LOGIN, "application/x-www-form-urlencoded")

        assert_error(answer, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")


class TestFailures:
    @pytest.mark.urls("tests.contract.failing_urls")
    @pytest.mark.parametrize("path", ["/api/v1/failing", "/api/v1/failing-plainly", "/.well-known/failing", "/failing"])
    def test_a_failure_of_ours_leaks_nothing(self, api: Api, path: str) -> None:
        answer = api.get(path)

        assert_error(answer, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error")
        assert answer.body["message"] == "Something went wrong on our side."
        for word in (SECRET, "hunter2", "Traceback", "RuntimeError", "failing"):
            assert word not in answer.raw.decode()

    @pytest.mark.urls("tests.contract.failing_urls")
    def test_a_view_without_its_database_says_when_to_come_back(self, api: Api) -> None:
        answer = api.get("/api/v1/cut-off")

        assert_error(answer, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")
        assert answer.headers["Retry-After"] == "1"
        assert "hunter2" not in answer.raw.decode()

    def test_an_outage_of_the_database_is_a_503_that_says_when_to_come_back(self, dead_port: int) -> None:
        answers = json.loads(_ask_without_database(dead_port))

        assert len(answers) == 4
        for path, status, headers, body in answers:
            place = (path, body)
            assert status == HTTPStatus.SERVICE_UNAVAILABLE, place
            assert headers["Retry-After"] == "1", place
            assert headers["Cache-Control"] == "no-store", place
            assert misfits(ERROR, body) == [], place
            assert [problem["code"] for problem in body["errors"]] == ["unavailable"], place
            assert "127.0.0.1" not in json.dumps(body)


_SCRIPT = f"""
import django, json
django.setup()
from django.test import Client
client = Client(raise_request_exception=False, HTTP_HOST="127.0.0.1")
body = json.dumps({{"email": "ada@example.org", "password": "correct-Horse-7-battery"}})
answers = []
def note(path, answer):
    answers.append((path, answer.status_code, dict(answer.headers), answer.json()))
for path, data in (
    ("{LOGIN}", body),
    ("{VERIFY}", json.dumps({{"token": "x"}})),
    ("{REGISTER}", json.dumps({{"name": "Ada", **json.loads(body)}})),
):
    note(path, client.post(path, data, content_type="application/json"))
note("jwks", client.get("/.well-known/jwks.json"))
print("ANSWERS" + json.dumps(answers))
"""


def _ask_without_database(port: int) -> str:
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("TEST_", "COV"))}
    run = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        env={
            **environment,
            "DJANGO_SETTINGS_MODULE": "config.settings_test",
            "TEST_PROFILE": "postgresql",
            "TEST_DATABASE_URL": f"postgresql://authsvc:secret@127.0.0.1:{port}/authsvc",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return run.stdout.rpartition("ANSWERS")[2]


class TestLanguages:
    @pytest.mark.parametrize(
        "ask",
        [
            lambda api, language: api.get("/api/v1/nothing", Accept_Language=language),
            lambda api, language: api.post(LOGIN, {}, Accept_Language=language),
            lambda api, language: api.get(ME, Accept_Language=language),
            lambda api, language: send(api, b"{", Accept_Language=language),
            lambda api, language: send(api, b"x" * 70_000, Accept_Language=language),
            lambda api, language: send(api, b"x", LOGIN, "text/plain", Accept_Language=language),
            lambda api, language: api.raw("PUT", ME, Accept_Language=language),
            lambda api, language: api.register("a@example.org", "short", Accept_Language=language),
            lambda api, language: api.get(ME, Host="evil.example", Accept_Language=language),
        ],
    )
    def test_messages_follow_the_reader_and_codes_do_not(self, api: Api, ask: Any) -> None:
        answers = {language: ask(api, language) for language in LANGUAGES}

        assert len({answer.body["message"] for answer in answers.values()}) == 4
        assert len({json.dumps([(p["code"], p["field"]) for p in a.body["errors"]]) for a in answers.values()}) == 1
        assert {language: answer.headers["Content-Language"] for language, answer in answers.items()} == {
            language: language for language in LANGUAGES
        }

    def test_the_best_language_that_is_spoken_here_wins(self, subtests: pytest.Subtests, api: Api) -> None:
        for header, language in [
            ("de-AT", "de"),
            ("pt, es;q=0.5, fr;q=0.9", "fr"),
            ("xx", "en"),
            ("*", "en"),
            ("", "en"),
            ("de;q=0, fr", "fr"),
            ("\x00,;q=", "en"),
            ("de," * 5_000, "de"),
        ]:
            with subtests.test(header=header, language=language):
                assert api.get(ME, Accept_Language=header).headers["Content-Language"] == language

    def test_a_success_speaks_it_too(self, api: Api, alice: User) -> None:
        token = api.login(alice.email).data["accessToken"]

        answers = {api.get(ME, token=token, Accept_Language=name).body["message"] for name in LANGUAGES}

        assert len(answers) == 4


class TestRequestIds:
    def test_a_well_formed_one_is_kept(self, subtests: pytest.Subtests, api: Api) -> None:
        for given in ["12345678", "a" * 128, "550e8400-e29b-41d4-a716-446655440000", "00-4bf92f-00f067:1.2_3/4+5=="]:
            with subtests.test(given=given):
                for answer in (api.get(ME, X_Request_ID=given), api.get("/nothing", X_Request_ID=given)):
                    assert answer.headers["X-Request-ID"] == answer.body["meta"]["requestId"] == given

    def test_any_other_is_replaced(self, subtests: pytest.Subtests, api: Api) -> None:
        for given in [
            "",
            "short",
            "a" * 129,
            "a" * 10_000,
            "with spaces in it",
            "abcdefgh\r\nSet-Cookie: a=b",
            "abcdefgh\n",
            "abcdefgh%0d%0aX: 1",
            "abcdefgh\x1b[31m",
            '{"json": "injected"}',
            "äöüäöüäöü",
            "١٢٣٤٥٦٧٨",
        ]:
            with subtests.test(given=given):
                answer = api.get(ME, X_Request_ID=given)

                made = answer.headers["X-Request-ID"]
                assert made == answer.body["meta"]["requestId"] != given
                assert UUID(made).version == 7

    def test_every_answer_has_one(self, subtests: pytest.Subtests, api: Api) -> None:
        for path in ["/", "/healthz", f"{V1}/docs", f"{V1}/schema", "/.well-known/jwks.json", "/nothing"]:
            with subtests.test(path=path):
                first, second = api.get(path).headers["X-Request-ID"], api.get(path).headers["X-Request-ID"]

                assert UUID(first).version == 7
                assert first != second

"""Whatever is sent as a body: one reading of it, or a refusal in the envelope, at once."""

import json
import time
from http import HTTPStatus
from io import BytesIO

import pytest

from accounts.models import User
from tests.api_document import misfits
from tests.cast import V1, Api
from tests.envelope_rules import (
    CREDENTIALS,
    ERROR,
    JSON,
    LOGIN,
    ME,
    PROMPT_SECONDS,
    REGISTER,
    VERIFY,
    assert_error,
    raw_wsgi,
    send,
)

pytestmark = pytest.mark.django_db


class TestSizes:
    LIMIT = 64 * 1024

    def test_a_body_of_exactly_the_limit_is_read(self, api: Api) -> None:
        assert_error(send(api, CREDENTIALS.ljust(self.LIMIT)), HTTPStatus.UNAUTHORIZED, "invalid_credentials")

    def test_a_body_over_the_limit_is_a_413_wherever_it_is_sent(self, subtests: pytest.Subtests, api: Api) -> None:
        for path in [LOGIN, ME, "/api/v1/nothing", "/.well-known/jwks.json", "/healthz", f"{V1}/docs"]:
            for method in ["POST", "GET"]:
                with subtests.test(path=path, method=method):
                    answer = api.raw(method, path, CREDENTIALS.ljust(self.LIMIT + 1), JSON)

                    assert_error(answer, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large")

    @pytest.mark.parametrize(
        ("extra", "status"), [(0, HTTPStatus.UNAUTHORIZED), (1, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)]
    )
    def test_a_body_that_does_not_tell_its_length_is_bounded_too(self, extra: int, status: HTTPStatus) -> None:
        body = CREDENTIALS.ljust(self.LIMIT + extra)

        assert raw_wsgi(body, HTTP_TRANSFER_ENCODING="chunked").status_code == status

    def test_no_more_of_an_endless_body_is_read_than_the_limit(self) -> None:
        endless = Endless()

        answer = raw_wsgi(endless, HTTP_TRANSFER_ENCODING="chunked")

        assert answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        assert endless.read_bytes <= self.LIMIT + 1

    def test_a_length_that_is_no_number_is_no_failure_of_ours(self, subtests: pytest.Subtests) -> None:
        for length in ["-1", "x", "1e9", "²", " 5", "0x10", "99999999999999999999999"]:
            with subtests.test(length=length):
                answer = raw_wsgi(CREDENTIALS, CONTENT_LENGTH=length)

                assert answer.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
                assert misfits(ERROR, json.loads(answer.content)) == []


class Endless(BytesIO):
    """A body without an end."""

    read_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0
        self.read_bytes += size
        return b" " * size


class TestBodies:
    def test_what_is_not_json_is_invalid_json_at_once(self, subtests: pytest.Subtests, api: Api) -> None:
        for body in [
            b"{",
            b"}",
            b"{'email': 1}",
            b'{"email": }',
            b'{"email": "a",}',
            b'{"email": NaN}',
            b'{"email": Infinity}',
            b'{"email": -Infinity}',
            b'{"email": "\xff"}',
            b'{"email": "tab\there"}',
            b'{"email": "a"} trailing',
            b'{"email": "a"}{"email": "b"}',
            b"\xef\xbb\xbf" + CREDENTIALS,
            CREDENTIALS.decode().encode("utf-16"),
            CREDENTIALS.decode().encode("utf-16-le"),
            CREDENTIALS.decode().encode("utf-32"),
            b'{"email": ' + b"[" * 50_000 + b"]" * 10_000 + b"}",
            b"[" * 65_000,
            b'{"a":' * 13_000,
            b'{"email": ' + b"9" * 60_000 + b"}",
            b"\x00",
            b"/**/{}",
        ]:
            with subtests.test(body=body):
                api.get("/healthz")
                started = time.thread_time()

                answer = send(api, body)

                assert time.thread_time() - started < PROMPT_SECONDS
                assert_error(answer, HTTPStatus.BAD_REQUEST, "invalid_json")
                assert answer.problems == {None: "invalid_json"}

    def test_what_is_no_object_is_of_the_wrong_type(self, subtests: pytest.Subtests, api: Api) -> None:
        for body in [b"[]", b'"text"', b"1", b"true", b"null", b"1e400", b'[{"email": "a"}]']:
            with subtests.test(body=body):
                answer = send(api, body)

                assert_error(answer, HTTPStatus.BAD_REQUEST, "invalid_type")
                assert answer.problems == {None: "invalid_type"}

    def test_an_empty_body_lacks_every_field(self, api: Api) -> None:
        for content_type in (JSON, ""):
            answer = send(api, b"", LOGIN, content_type)
            assert_error(answer, HTTPStatus.BAD_REQUEST)
            assert answer.problems == {"email": "required", "password": "required"}

    def test_a_key_given_twice_is_refused_on_every_level(self, subtests: pytest.Subtests, api: Api) -> None:
        for body, field in [
            (b'{"email": "a@example.org", "email": "b@example.org", "password": "x"}', "email"),
            (b'{"email": {"a": 1, "a": 2}}', "a"),
            (b'{"email": [{"b": 1, "b": 1}], "password": "x"}', "b"),
            (b'{"role": "user", "ro\\u006ce": "admin"}', "role"),
        ]:
            with subtests.test(body=body, field=field):
                answer = send(api, body)

                assert_error(answer, HTTPStatus.BAD_REQUEST, "duplicate_field")
                assert answer.problems == {field: "duplicate_field"}

    def test_one_key_twice_among_thousands_is_found_at_once(self, api: Api) -> None:
        keys = [f'"{number:x}":0' for number in range(6_000)]
        api.get("/healthz")
        started = time.thread_time()

        answer = send(api, ("{" + ",".join([*keys, '"last":0', '"last":0']) + "}").encode())

        assert time.thread_time() - started < PROMPT_SECONDS
        assert answer.problems == {"last": "duplicate_field"}

    def test_thousands_of_unknown_fields_make_no_long_answer(self, api: Api) -> None:
        api.get("/healthz")
        started = time.thread_time()

        answer = send(api, json.dumps({f"{number:x}": 0 for number in range(6_000)}).encode())

        assert time.thread_time() - started < PROMPT_SECONDS
        assert_error(answer, HTTPStatus.BAD_REQUEST)
        assert {"unknown_field", "required"} == set(answer.codes)
        assert len(answer.codes) == 22

    def test_a_field_that_may_not_be_sent_is_named_and_nothing_is_done(
        self, subtests: pytest.Subtests, api: Api
    ) -> None:
        for field in [
            "role",
            "isVerified",
            "id",
            "is_staff",
            "isActive",
            "password_hash",
            "mfaEnabled",
            "stamp",
            "locale",
            "Email",
            "",
        ]:
            with subtests.test(field=field):
                body = {
                    "name": "Ada",
                    "email": "ada@example.org",
                    "password": "correct-Horse-7-battery",
                    field: "admin",
                }

                answer = api.post(REGISTER, body)

                assert_error(answer, HTTPStatus.BAD_REQUEST, "unknown_field")
                assert answer.problems == {field or None: "unknown_field"}
                assert not User.objects.exists()

    @pytest.mark.parametrize("field", ["role", "email", "id", "isVerified", "isActive", "createdAt", "password"])
    def test_a_read_only_field_of_the_own_account_is_refused(self, api: Api, alice: User, field: str) -> None:
        token = api.login(alice.email).data["accessToken"]

        answer = api.patch(ME, {"name": "Eve", field: "admin"}, token=token)

        assert_error(answer, HTTPStatus.BAD_REQUEST, "unknown_field")
        assert api.me(token).data["name"] == "Alice"

    def test_fields_named_like_parts_of_an_error_are_fields(self, api: Api) -> None:
        answer = api.post(
            LOGIN, {"code": 1, "message": 2, "non_field_errors": 3, "email": "a@example.org", "password": "x"}
        )

        assert_error(answer, HTTPStatus.BAD_REQUEST)
        assert set(answer.codes) == {"unknown_field"}
        assert len(answer.codes) == 3

    def test_any_key_comes_back_as_valid_utf_8_of_a_bounded_length(self, subtests: pytest.Subtests, api: Api) -> None:
        for key in [r"\ud800", r"\udfff\ud800", r"a\u0000b", r"\u202e", r"\r\nX: 1", "x" * 10_000]:
            with subtests.test(key=key):
                answer = send(api, f'{{"{key}": 1, "email": "a@example.org", "password": "x"}}'.encode())

                assert_error(answer, HTTPStatus.BAD_REQUEST, "unknown_field")
                assert len(answer.body["errors"][0]["field"]) <= 100
                answer.raw.decode("utf-8")

    @pytest.mark.parametrize("field", ["name", "email", "password"])
    def test_a_text_that_no_database_could_keep_is_refused(
        self, subtests: pytest.Subtests, api: Api, field: str
    ) -> None:
        for value in [r'"\ud800"', r'"\udfff"', r'"a\u0000"', r'"\u0007"']:
            with subtests.test(value=value):
                body = {"name": "Ada", "email": "ada@example.org", "password": "correct-Horse-7-battery"} | {
                    field: "@@"
                }

                answer = send(api, json.dumps(body).replace('"@@"', value).encode(), REGISTER)

                if (field, value) == ("password", r'"\u0007"'):
                    assert answer.codes[0] == "password_too_short"
                else:
                    assert_error(answer, HTTPStatus.BAD_REQUEST)
                    assert answer.problems in ({field: "invalid_character"}, {field: "invalid_format"})

    @pytest.mark.parametrize("field", ["name", "email", "password"])
    def test_nothing_is_converted_to_a_string(self, subtests: pytest.Subtests, api: Api, field: str) -> None:
        values: list[object] = [
            0,
            1,
            -1,
            10**400,
            1.5,
            True,
            False,
            None,
            [],
            {},
            ["a@example.org"],
            {"$ne": ""},
            [[[[]]]],
        ]
        for value in values:
            with subtests.test(value=value):
                body = {"name": "Ada", "email": "ada@example.org", "password": "correct-Horse-7-battery"} | {
                    field: value
                }

                answer = api.post(REGISTER, body)

                assert_error(answer, HTTPStatus.BAD_REQUEST, "invalid_type")
                assert answer.problems == {field: "invalid_type"}

    def test_an_address_made_to_burn_time_is_refused_at_once(self, api: Api) -> None:
        api.get("/healthz")
        for address in ("a@" + "b." * 5_000 + "c", "a" * 10_000 + "@example.org", "a@" + "-" * 10_000, "a." * 5_000):
            started = time.thread_time()
            answer = api.post(LOGIN, {"email": address, "password": "x"})
            assert time.thread_time() - started < 0.05
            assert answer.problems == {"email": "too_long"}

    def test_a_call_that_takes_no_body_takes_none(self, api: Api, alice: User) -> None:
        tokens = api.login(alice.email).data

        answer = api.post(f"{V1}/auth/logout-all", {"user": str(alice.id)}, token=tokens["accessToken"])

        assert_error(answer, HTTPStatus.BAD_REQUEST, "unknown_field")
        assert api.me(tokens["accessToken"]).status == HTTPStatus.OK

    def test_an_unknown_or_doubled_parameter_of_a_query_is_refused(self, api: Api) -> None:
        assert api.get(f"{VERIFY}?token=x&role=admin").problems == {"role": "unknown_field"}
        assert api.get(VERIFY).problems == {"token": "required"}
        assert api.get(f"{VERIFY}?token=x").problems == {"token": "invalid_token"}

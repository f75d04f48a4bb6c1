"""Where a request comes from: one function decides, and nobody else's header does."""

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from pytest_django import Settings

from accounts.models import User
from audit.models import Event
from authsvc.http.origin import client_ip, is_secure, origin_of
from authsvc.tokens.models import Session
from tests.cast import Api

PEER = "198.51.100.7"


def request(forwarded: str | None = None, peer: str = PEER, **environ: str) -> HttpRequest:
    more = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    made = RequestFactory().get("/")
    made.META.update({"REMOTE_ADDR": peer, **more, **environ})
    return made


class TestClientAddress:
    @pytest.mark.parametrize(
        "forwarded", [None, "", "203.0.113.9", "203.0.113.9, 192.0.2.1", "127.0.0.1", "a", "::1", "1" * 10_000]
    )
    def test_without_a_proxy_only_the_peer_counts(self, settings: Settings, forwarded: str | None) -> None:
        settings.TRUSTED_PROXIES = 0

        assert client_ip(request(forwarded)) == PEER

    @pytest.mark.parametrize(
        ("proxies", "forwarded", "address"),
        [
            (1, "203.0.113.9", "203.0.113.9"),
            (1, " 203.0.113.9 ", "203.0.113.9"),
            (1, "10.0.0.1, 203.0.113.9", "203.0.113.9"),
            (1, "203.0.113.9,192.0.2.1", "192.0.2.1"),
            (2, "203.0.113.9, 10.0.0.2", "203.0.113.9"),
            (2, "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
            (3, "9.9.9.9, 203.0.113.9, 10.0.0.2, 10.0.0.3", "203.0.113.9"),
        ],
    )
    def test_behind_proxies_the_entry_of_the_outermost_one_counts(
        self, settings: Settings, proxies: int, forwarded: str, address: str
    ) -> None:
        settings.TRUSTED_PROXIES = proxies

        assert client_ip(request(forwarded)) == address

    def test_entries_put_in_front_by_a_client_change_nothing(self, settings: Settings) -> None:
        settings.TRUSTED_PROXIES = 1

        spoofed = {client_ip(request(f"10.0.{number}.1, 127.0.0.1, 203.0.113.9")) for number in range(50)}

        assert spoofed == {"203.0.113.9"}

    @pytest.mark.parametrize(
        "forwarded",
        [
            "",
            ",",
            "a",
            "unknown",
            "203.0.113.9:443",
            "[2001:db8::1]:443",
            "203.0.113.999",
            "0x7f.1",
            "203.0.113",
            "203.0.113.09",
            "203.0.113.9\x00",
            "203.0.113.9/32",
            "203.0.113.9, ",
            "x" * 10_000,
            "1," * 5_000,
            "\uff12\uff10\uff13.0.113.9",  # full-width digits
            "<script>",
            "::1::",
            "fe80::1%eth0%1",
        ],
    )
    def test_garbage_falls_back_to_the_peer(self, settings: Settings, forwarded: str) -> None:
        settings.TRUSTED_PROXIES = 1

        assert client_ip(request(forwarded)) == PEER

    def test_fewer_entries_than_proxies_fall_back_to_the_peer(self, settings: Settings) -> None:
        settings.TRUSTED_PROXIES = 2

        assert client_ip(request("203.0.113.9")) == PEER
        assert client_ip(request(None)) == PEER

    @pytest.mark.parametrize(
        ("written", "address"),
        [
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("fe80::1%25eth0", "fe80::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("::FFFF:cb00:7109", "203.0.113.9"),
            ("::ffff:203.0.113.9%eth0", "203.0.113.9"),
            ("203.0.113.9", "203.0.113.9"),
        ],
    )
    def test_every_spelling_of_an_address_is_the_same_address(
        self, settings: Settings, written: str, address: str
    ) -> None:
        settings.TRUSTED_PROXIES = 1

        assert client_ip(request(written)) == client_ip(request(peer=written)) == address

    @pytest.mark.parametrize("peer", ["", "unix:/run/socket", "localhost"])
    def test_a_peer_without_an_address_has_none(self, settings: Settings, peer: str) -> None:
        settings.TRUSTED_PROXIES = 0

        assert client_ip(request("203.0.113.9", peer)) is None

    def test_other_headers_of_that_kind_are_nothing(self, settings: Settings) -> None:
        settings.TRUSTED_PROXIES = 1
        names = ("HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_CLIENT_IP", "HTTP_TRUE_CLIENT_IP", "HTTP_CF_CONNECTING_IP")

        assert client_ip(request(None, **dict.fromkeys(names, "203.0.113.9"))) == PEER


class TestTransport:
    @pytest.mark.parametrize(
        ("proxies", "forwarded", "secure"),
        [(0, "https", False), (1, "https", True), (1, "http", False), (1, "https,http", False), (1, "", False)],
    )
    def test_a_forwarded_scheme_counts_behind_a_proxy_only(
        self, settings: Settings, proxies: int, forwarded: str, *, secure: bool
    ) -> None:
        settings.TRUSTED_PROXIES = proxies

        assert is_secure(request(HTTP_X_FORWARDED_PROTO=forwarded)) is secure

    def test_tls_of_our_own_counts_without_a_proxy(self) -> None:
        assert is_secure(RequestFactory().get("/", secure=True)) is True


class TestUserAgent:
    @pytest.mark.parametrize(
        ("sent", "kept"),
        [
            ("Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (X11; Linux)"),
            ("a\r\nlevel=error b", "alevel=error b"),
            ("a\x1b[31mred\x1b[0m", "a[31mred[0m"),
            ("a\x00b\tc\x7fd", "abcd"),
            ("Br\u00c3\u00bccke", "Brücke"),  # UTF-8, as WSGI hands it over
            ("Br\xfccke", "Br\ufffdcke"),
            ("a\u00e2\u0080\u00aeb", "ab"),  # U+202E, which turns the text around
            ("", ""),
            ("x" * 10_000, "x" * 400),
        ],
    )
    def test_it_is_one_bounded_line_of_printable_text(self, sent: str, kept: str) -> None:
        assert origin_of(request(HTTP_USER_AGENT=sent)).user_agent == kept

    def test_a_request_without_one_has_an_empty_one(self) -> None:
        assert origin_of(request()).user_agent == ""


def test_an_origin_names_request_address_and_actor() -> None:
    call = request(HTTP_USER_AGENT="tests")
    call.request_id = "12345678"  # type: ignore[attr-defined]

    origin = origin_of(call)

    assert (origin.ip, origin.user_agent, origin.request_id, origin.actor_id) == (PEER, "tests", "12345678", None)


@pytest.mark.django_db
def test_session_and_audit_event_hold_what_was_resolved(alice: User, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = 1
    api = Api(REMOTE_ADDR="10.0.0.1", HTTP_USER_AGENT="evil\r\nagent")

    answer = api.post(
        "/api/v1/auth/login",
        {"email": alice.email, "password": "correct-Horse-7-battery"},
        X_Forwarded_For="6.6.6.6, ::ffff:203.0.113.9",
        X_Request_ID="a-request-of-mine",
    )

    session, event = Session.objects.get(), Event.objects.latest("created_at")
    assert answer.data["session"]["ip"] == session.ip == event.ip == "203.0.113.9"
    assert session.user_agent == event.user_agent == "evilagent"
    assert event.request_id == "a-request-of-mine"

"""What each policy says of a password, by the codes of the rules that it breaks."""

import json
import sys
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import FrameType

import pytest
from pytest_django.fixtures import Settings

from accounts.services.password_rules import WeakPassword, check_new_password
from accounts.validators.breaches import NotBreached
from authsvc.hashing import PASSWORD_MAX_BYTES
from config import passwords
from config.passwords import Policy
from tests.cast import OTHER_PASSWORD, PASSWORD, V1, Api, enrol
from tests.ledger import stored

NAME, EMAIL = "Alice Smith", "alice.smith@wonderland.example"
PARROT = "\U0001f99c"
POLICIES: tuple[Policy, ...] = ("strict", "hybrid", "nist")


def set_policy(settings: Settings, policy: Policy, *, breach_check: bool = False) -> None:
    settings.PASSWORD_POLICY = policy
    settings.AUTH_PASSWORD_VALIDATORS = passwords.validators(
        policy, product_words=["authsvc", "parlour"], breach_check=breach_check
    )


def broken(password: str, *, name: str = NAME, email: str = EMAIL) -> str:
    """The rules that a password breaks, without what all codes begin with."""
    try:
        check_new_password(password, name=name, email=email)
    except WeakPassword as weak:
        return " ".join(problem.code.value.removeprefix("password_") for problem in weak.problems)
    return ""


# The password, and what strict, hybrid and nist say; `=` is the same as before.
TABLE = [
    # Length, in code points of NFC
    ("", "too_short no_upper no_lower no_digit no_special", "=", "too_short"),
    ("a", "too_short no_upper no_digit no_special common", "=", "too_short common"),
    ("gH7-Ktz pQ4", "too_short", "=", "="),
    ("gH7-Ktz pQ4x", "", "=", "too_short"),
    ("gH7-Ktz pQ4xv", "", "=", "too_short"),
    ("gH7-Ktz pQ4xv-m", "", "=", "="),
    ("gH7-Ktz pQ4xv-m!", "", "=", "="),
    ("gH7-Ktz " * 16, "", "=", "="),
    ("gH7-Ktz " * 15 + "gH7-Ktzx!", "too_long", "=", "="),
    ("Zu\u0308rich-7-Ga\u0308u", "", "=", "too_short"),
    ("Zu\u0308rich-7-Ga\u0308ux", "", "=", "too_short"),
    ("7-\xc4pfel-f\xfcr-\xd6zg\xfcr", "", "=", "="),
    ("\u041a7-\u044e\u043d\u044b\u0439-\u0401\u0436-\u043f\u043e\u0451\u0442", "", "=", "="),
    ("7-\u732b\u306f\u9759\u304b\u306b\u7a93\u8fba\u3067\u7720\u3063\u3066\u3044\u305f", "no_upper no_lower", "", "="),
    ("Tr\xe9s-\xe9tage-8\U0001f99cq", "", "=", "too_short"),
    (
        "\U0001f99c\U0001f98a\U0001f40e\U0001f41d\U0001f40b\U0001f422\U0001f987\U0001f994\U0001f98b\U0001f41f\U0001f427\U0001f43a\U0001f418\U0001f992\U0001f9a5",
        "no_upper no_lower no_digit no_special",
        "",
        "=",
    ),
    # Composition
    ("gh7-ktz pq4x", "no_upper", "=", "too_short"),
    ("GH7-KTZ PQ4X", "no_lower", "=", "too_short"),
    ("gHx-Ktz pQvx", "no_digit", "=", "too_short"),
    ("gH7 Ktz pQ4x", "no_special", "=", "too_short"),
    ("gh7 ktz pq4x", "no_upper no_special", "=", "too_short"),
    ("kxvbqzjhwmrt", "no_upper no_digit no_special", "=", "too_short"),
    ("KXVBQZJHWMRT", "no_lower no_digit no_special", "=", "too_short"),
    ("739105826471", "no_upper no_lower no_special", "=", "too_short"),
    ("kxvbqzjhwmrtgnd", "no_upper no_digit no_special", "", "="),
    ("kxvbqz jhwmrt gnd", "no_upper no_digit no_special", "", "="),
    ("gH7\\Ktz/pQ4x", "no_special", "=", "too_short"),
    ("gH7~Ktz'pQ4x", "no_special", "=", "too_short"),
    ('gH7"Ktz pQ4\xa7', "no_special", "=", "too_short"),
    ("gH7`Ktz pQ4\xa3", "no_special", "=", "too_short"),
    ("gH\u0667-Ktz pQvx", "", "=", "too_short"),
    ("gH\xb2-Ktz pQvx", "no_digit", "=", "too_short"),
    ("\u01c5h7-ktz pq4x", "no_upper", "=", "too_short"),
    ("gH7\tKtz\x1bpQ4x", "no_special", "=", "too_short"),
    ("gH7-Ktz\u202epQ4x", "", "=", "too_short"),
    # Repetition
    ("gH7-Ktzzz pQ4", "", "=", "too_short"),
    ("gH7-Ktzzzz pQ4", "repetition", "=", "too_short"),
    ("gH7-KtzZzZ pQ4", "", "=", "too_short"),
    ("gH7----KtzpQ4xv", "repetition", "=", ""),
    ("gH7    KtzpQ4xv!", "repetition", "=", ""),
    ("gH7-K\u0308\u0308\u0308\u0308tz pQ4xv", "repetition", "=", ""),
    ("\U0001f99c\U0001f99c\U0001f99cgH7-Ktz pQ4", "", "=", "too_short"),
    ("\U0001f99c\U0001f99c\U0001f99c\U0001f99cgH7-Ktz pQ4", "repetition", "=", ""),
    (PARROT * 12, "no_upper no_lower no_digit no_special repetition common", "=", "too_short common"),
    (PARROT * 128, "no_upper no_lower no_digit no_special repetition common", "repetition common", "common"),
    # Common
    ("SecurePass123!", "", "=", "too_short"),
    ("Password123!", "common", "=", "too_short common"),
    ("P@ssw0rd1234", "common", "=", "too_short common"),
    ("P@$$w0rd2026!", "common", "=", "too_short common"),
    ("Welcome2026!!", "common", "=", "too_short common"),
    ("Summer-2026!", "common", "=", "too_short common"),
    ("Sommer2026!!", "common", "=", "too_short common"),
    ("Qwertyuiop1!", "common", "=", "too_short common"),
    ("!QAZ2wsx#EDC", "common", "=", "too_short common"),
    ("1qaz2wsx3edc4rfv", "no_upper no_special common", "common", "="),
    ("Letmein-2026!", "common", "=", "too_short common"),
    ("Administrator1!", "common", "=", "="),
    ("Abc123Abc123!", "common", "=", "too_short common"),
    ("aaaaaaaaaaaA1!", "repetition common", "=", "too_short common"),
    ("PasswordPassword1!", "common", "=", "="),
    ("P-a-s-s-w-o-r-d-1", "common", "=", "="),
    ("drowssaP1234!", "common", "=", "too_short common"),
    ("Iloveyou-1990!", "common", "=", "too_short common"),
    ("CorrectHorseBatteryStaple1!", "common", "=", "="),
    ("correct horse battery staple", "no_upper no_digit no_special common", "common", "="),
    ("Authsvc-2026!", "common", "=", "too_short common"),
    ("Parlour-2026!", "common", "=", "too_short common"),
    ("password password password", "no_upper no_digit no_special common", "common", "="),
    ("administrator", "no_upper no_digit no_special common", "=", "too_short common"),
    ("123456789012345", "no_upper no_lower no_special common", "common", "="),
    ("qwertyuiopasdfghjkl", "no_upper no_digit no_special common", "common", "="),
    ("Butterfly2026!", "common", "=", "too_short common"),
    ("2026-01-01-2026-01-01!A", "no_lower", "", "="),
    ("to be or not to be", "no_upper no_digit no_special common", "common", "="),
    # Strong
    ("correct-Horse-7-battery", "", "=", "="),
    ("another-Horse-8-stapler", "", "=", "="),
    ("Tall-harbour-41-lanterns", "", "=", "="),
    ("tall harbour with lanterns", "no_upper no_digit no_special", "", "="),
    ("Xk9#mQ2!vLp7", "", "=", "too_short"),
    ("Xk9#mQ2!vLp7wZ4", "", "=", "="),
    ("4f9c1e7ab03d58e2", "no_upper no_special", "", "="),
    ("monkey dragon sunshine princess", "no_upper no_digit no_special", "", "="),
    ("my monkey keeps 3 old bicycles", "no_upper no_special", "", "="),
    # Similar
    ("Alice-Smith-2024!", "similar", "=", "="),
    ("AliceSmith1!x", "similar", "=", "too_short similar"),
    ("Smith.Alice.99!", "similar", "=", "="),
    ("alice.smith@wonderland.example", "no_upper no_digit similar", "similar", "="),
    ("Wonderland-2026!", "common similar", "=", "="),
    ("4l1c3-Sm1th-2026!", "similar", "=", "="),
    ("htimS-ecilA-2024!", "similar", "=", "="),
    ("A.l.i.c.e-S.m.i.t.h!", "no_digit similar", "similar", "="),
    ("Password-Alice-1!", "common similar", "=", "="),
    ("alicesmithalicesmith", "no_upper no_digit no_special similar", "similar", "="),
    ("Alice plays cello on 3 roofs", "no_special", "", "="),
    ("7 smiths forge the Wonderland gate!", "", "=", "="),
    ("Ali-goes-Hiking-77", "", "=", "="),
]


@pytest.mark.parametrize(("password", "strict", "hybrid", "nist"), TABLE, ids=lambda text: ascii(text)[:40])
def test_a_policy_names_every_rule_that_a_password_breaks(
    settings: Settings, password: str, strict: str, hybrid: str, nist: str
) -> None:
    expected = ""
    for policy, codes in zip(POLICIES, (strict, hybrid, nist), strict=True):
        set_policy(settings, policy)
        expected = expected if codes == "=" else codes

        assert broken(password) == expected, policy
        assert broken(unicodedata.normalize("NFD", password)) == expected, policy


@pytest.mark.parametrize("policy", ["strict", "hybrid"])
def test_26_characters_are_special_and_no_other_is(settings: Settings, policy: Policy) -> None:
    set_policy(settings, policy)
    ascii_and_latin = [chr(code) for code in range(1, 256)]

    special = [character for character in ascii_and_latin if broken(f"gH7Ktz{character}pQ4xv") == ""]

    assert sorted(special) == sorted("!@#$%^&*()_+-=[]{}|;:,.<>?")
    assert len(special) == 26


@pytest.mark.parametrize("bad", [0, 0xD800, 0xDFFF], ids=hex)
@pytest.mark.parametrize("policy", POLICIES)
def test_what_no_hash_can_take_is_refused_for_that_alone(settings: Settings, policy: Policy, bad: int) -> None:
    set_policy(settings, policy)

    assert broken(f"gH7-Ktz{chr(bad)}pQ4xv") == broken(chr(bad)) == "invalid_character"


@pytest.mark.parametrize("policy", POLICIES)
def test_1024_bytes_are_judged_and_more_are_refused_unread(settings: Settings, policy: Policy) -> None:
    set_policy(settings, policy)
    decomposed = "gH7-Ktz pQ4xv" + "u\u0308" * 115

    assert len(decomposed.encode()) < PASSWORD_MAX_BYTES
    assert broken(decomposed) == ("" if policy == "nist" else "repetition")
    assert broken("gH7-Ktz pQ4x" + "\u0308\u0301" * 253) == "too_long"
    began = time.thread_time()
    assert broken("12" * 500_000) == "too_long"
    assert time.thread_time() - began < 0.1


@pytest.mark.parametrize("password", ["gH7-Ktz pQ4xv", "SecurePass123!", "12" * 64, "\ufdfa" * 128, PASSWORD])
def test_a_verdict_takes_so_many_calls_at_most(settings: Settings, password: str) -> None:
    """A few milliseconds' worth: whoever makes it quadratic in the length has a million."""
    set_policy(settings, "strict")
    broken(password)
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        broken(password)
    finally:
        sys.setprofile(None)

    assert calls < 50_000


@pytest.mark.parametrize(
    ("password", "name", "email"),
    [
        ("Ada-Lovelace-1!", "Ada Lovelace", "countess@example.org"),
        ("Lovelace.Ada.1815!", "Ada Lovelace", "countess@example.org"),
        ("Mu\u0308nchhausen-1!", "M\u00fcnchhausen", "baron@example.org"),
        ("Munchhausen-1720!", "Karl M\u00fcnchhausen", "baron@example.org"),
        ("Augusta-King-99!", "Countess", "augusta.king+news@example.org"),
        ("Babbage-and-co-1!", "Charles", "office@babbage-and-co.example"),
    ],
)
def test_a_name_or_an_address_makes_no_password(password: str, name: str, email: str) -> None:
    assert broken(password, name=name, email=email) == "similar"


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("Bob", "bob@example.org"),
        ("Horse Battery", "a@b.example"),
        ("", "x@y.example"),
        ("-", "-@-.example"),
        ("a" * 200, f"{'a' * 64}@{'b' * 60}.example"),
        (" ".join(f"name{number}" for number in range(40)), "a@b.example"),
    ],
)
@pytest.mark.parametrize("password", ["Bob-likes-7-purple-lanterns", "7-correct-Horses-on-a-harbour-wall"])
def test_a_long_password_may_hold_a_name(password: str, name: str, email: str) -> None:
    assert broken(password, name=name, email=email) == ""


class TestAnswer:
    """The same through the API."""

    @pytest.mark.django_db
    def test_every_broken_rule_has_its_code_and_a_message_at_the_field(self, api: Api) -> None:
        before = stored()

        answer = api.register("ada@example.org", "passsss")

        assert answer.status == HTTPStatus.BAD_REQUEST
        assert {error["field"] for error in answer.body["errors"]} == {"password"}
        assert answer.codes == [
            "password_too_short",
            "password_no_upper",
            "password_no_digit",
            "password_no_special",
            "password_repetition",
            "password_common",
        ]
        assert len({error["message"] for error in answer.body["errors"]}) == 6
        assert stored() == before

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        "password", ["gh7 Ktz pQ4", "Administrator1!", "ada@example.org", "gh7 Ktz " * 17, "Ada-Lovelace-1815!"]
    )
    def test_a_weak_one_opens_no_account(self, api: Api, password: str) -> None:
        before = stored()

        answer = api.register("ada@example.org", password)

        named = broken(password, name="Ada Lovelace", email="ada@example.org").split()
        assert (answer.status, answer.codes) == (HTTPStatus.BAD_REQUEST, [f"password_{rule}" for rule in named])
        assert stored() == before

    @pytest.mark.django_db
    def test_a_weak_one_is_refused_alike_whether_the_address_is_taken_or_not(self, api: Api) -> None:
        enrol("taken@example.org")

        assert api.register("taken@example.org", "short").codes == api.register("ada@example.org", "short").codes
        assert stored()["mail.OutgoingMail"] == stored()["audit.Event"] == []

    @pytest.mark.django_db
    def test_the_example_of_the_first_service_is_still_taken(self, api: Api) -> None:
        answer = api.register("test@example.com", "SecurePass123!", name="Test User")

        assert answer.status == HTTPStatus.CREATED

    @pytest.mark.django_db
    @pytest.mark.parametrize("path", ["/auth/register", "/auth/login"])
    def test_a_megabyte_is_refused_unread(self, api: Api, path: str) -> None:
        body = json.dumps({"email": "ada@example.org", "name": "Ada", "password": "gH7-" * 250_000}).encode()
        api.raw("POST", f"{V1}{path}", b"{}", "application/json")
        began = time.process_time()

        answer = api.raw("POST", f"{V1}{path}", body, "application/json")

        assert (answer.status, answer.codes) == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, ["body_too_large"])
        assert time.process_time() - began < 0.1
        assert stored()["accounts.User"] == []


class TestPolicyEndpoint:
    """What front ends are told."""

    PATH = f"{V1}/auth/password/policy"
    STRICT = {
        "policy": "strict",
        "minLength": 12,
        "maxLength": 128,
        "requiredClasses": ["upper", "lower", "digit", "special"],
        "compositionUpTo": None,
        "specialCharacters": "!@#$%^&*()_+-=[]{}|;:,.<>?",
        "maxRepetition": 3,
        "blocklist": True,
        "similarity": True,
        "breachCheck": False,
    }

    def test_it_is_strict_unless_somebody_chose_otherwise(self, api: Api) -> None:
        answer = api.get(self.PATH)

        assert (answer.status, answer.data) == (HTTPStatus.OK, self.STRICT)

    @pytest.mark.parametrize(
        ("policy", "differs"),
        [
            ("strict", {}),
            ("hybrid", {"compositionUpTo": 14}),
            ("nist", {"minLength": 15, "requiredClasses": [], "specialCharacters": "", "maxRepetition": None}),
        ],
    )
    def test_it_says_what_is_checked(
        self, api: Api, settings: Settings, policy: Policy, differs: dict[str, object]
    ) -> None:
        set_policy(settings, policy)

        assert api.get(self.PATH).data == {**self.STRICT, "policy": policy, **differs}

    def test_it_says_whether_breaches_are_asked_for(self, api: Api, settings: Settings) -> None:
        set_policy(settings, "strict", breach_check=True)

        assert api.get(self.PATH).data == {**self.STRICT, "breachCheck": True}


class Breaches:
    """A service of breached passwords on this machine."""

    def __init__(self) -> None:
        self.suffixes: list[str] = []
        self.status = HTTPStatus.OK
        self.body: bytes | None = None
        self.asked: list[tuple[str, str | None]] = []
        self.wait = Event()
        self.wait.set()
        self.cut = False
        self.drips = False
        self.over = Event()


@contextmanager
def served(breaches: Breaches) -> Iterator[str]:
    """The address of the service."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            breaches.asked.append((self.path, self.headers["Add-Padding"]))
            breaches.wait.wait(30)
            body = breaches.body or "\r\n".join(breaches.suffixes).encode()
            self.send_response(breaches.status)
            self.send_header("Content-Length", str(len(body) + breaches.cut))
            self.end_headers()
            for part in [bytes([byte]) for byte in body] if breaches.drips else [body]:
                self.wfile.write(part)
                if breaches.drips and breaches.over.wait(0.1):
                    return

        def log_message(self, *_args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/range/"
        breaches.wait.set()
        breaches.over.set()
        server.shutdown()


@pytest.fixture
def breaches(settings: Settings) -> Iterator[Breaches]:
    """The breach check switched on, against a service of ours."""
    breaches = Breaches()
    with served(breaches) as address:
        use(settings, address)
        yield breaches


def use(settings: Settings, address: str, timeout: float = 3.0) -> None:
    set_policy(settings, "strict", breach_check=True)
    *rules, breach = settings.AUTH_PASSWORD_VALIDATORS
    assert breach["OPTIONS"] == {}
    settings.AUTH_PASSWORD_VALIDATORS = [*rules, breach | {"OPTIONS": {"service": address, "timeout": timeout}}]


class TestBreachCheck:
    """Asks by k-anonymity, after everything else, and never keeps anybody out because it is away."""

    # The SHA-1 of OTHER_PASSWORD
    PREFIX, SUFFIX = "74D1A", "023E45BA79EC474143A5FFC8F0F43504F60"

    def test_it_is_off_unless_somebody_switched_it_on(self) -> None:
        rules = passwords.validators("strict", product_words=[], breach_check=False)

        assert [rule for rule in rules if "breach" in rule["NAME"]] == []

    def test_a_breached_one_is_refused_and_the_service_learns_five_digits(self, breaches: Breaches) -> None:
        breaches.suffixes = ["0018A45C4D1DEF81644B54AB7F969B88D65:1", f"{self.SUFFIX}:1,234"]

        assert broken(OTHER_PASSWORD) == "breached"
        assert breaches.asked == [(f"/range/{self.PREFIX}", "true")]

    def test_another_one_is_taken(self, breaches: Breaches) -> None:
        breaches.suffixes = ["0018A45C4D1DEF81644B54AB7F969B88D65:1"]

        assert broken(OTHER_PASSWORD) == ""

    def test_padding_is_no_breach(self, breaches: Breaches) -> None:
        breaches.suffixes = [f"{self.SUFFIX}:0"]

        assert broken(OTHER_PASSWORD) == ""

    def test_one_that_breaks_another_rule_is_not_asked_about(self, breaches: Breaches) -> None:
        assert broken("Password123!") == "common"
        assert breaches.asked == []

    @pytest.mark.parametrize("status", [HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.FOUND])
    def test_a_failure_of_the_service_is_counted_and_keeps_nobody_out(
        self, breaches: Breaches, caplog: pytest.LogCaptureFixture, status: HTTPStatus
    ) -> None:
        breaches.status = status

        assert [broken(OTHER_PASSWORD), broken(OTHER_PASSWORD)] == ["", ""]
        assert [(record.message, record.__dict__["failures"]) for record in caplog.records] == [
            ("breach check failed open", 1),
            ("breach check failed open", 2),
        ]
        assert OTHER_PASSWORD not in caplog.text
        assert self.PREFIX not in caplog.text

    @pytest.mark.parametrize("body", [b"<html>no list</html>", b"\xff\xfe", b"A:B"], ids=ascii)
    def test_an_answer_that_is_no_list_keeps_nobody_out(
        self, breaches: Breaches, caplog: pytest.LogCaptureFixture, body: bytes
    ) -> None:
        breaches.body = body

        assert broken(OTHER_PASSWORD) == ""
        assert len(caplog.records) == 1

    def test_a_service_that_is_not_there_keeps_nobody_out(
        self, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        use(settings, "http://127.0.0.1:9/range/")

        assert broken(OTHER_PASSWORD) == ""
        assert [record.__dict__["failure"] for record in caplog.records] == ["ConnectionRefusedError"]

    def test_an_answer_that_is_cut_keeps_nobody_out(self, breaches: Breaches, caplog: pytest.LogCaptureFixture) -> None:
        breaches.suffixes, breaches.cut = [f"{self.SUFFIX}:1"], True

        assert broken(OTHER_PASSWORD) == ""
        assert [record.__dict__["failure"] for record in caplog.records] == ["IncompleteRead"]

    @pytest.mark.parametrize("how", ["silent", "dripping"])
    def test_one_that_does_not_answer_is_waited_for_no_longer_than_its_time(
        self, settings: Settings, breaches: Breaches, caplog: pytest.LogCaptureFixture, how: str
    ) -> None:
        breaches.suffixes, breaches.drips = [f"{self.SUFFIX}:1"], how == "dripping"
        if how == "silent":
            breaches.wait.clear()
        use(settings, address_of(settings), timeout=0.3)
        began = time.monotonic()

        assert broken(OTHER_PASSWORD) == ""
        assert time.monotonic() - began < 1
        assert [record.message for record in caplog.records] == ["breach check failed open"]

    def test_it_waits_for_three_seconds_at_most(self) -> None:
        assert NotBreached().timeout == 3

    @pytest.mark.django_db
    def test_the_answer_names_it(self, api: Api, breaches: Breaches) -> None:
        breaches.suffixes = [f"{self.SUFFIX}:7"]

        assert api.register("ada@example.org", OTHER_PASSWORD).codes == ["password_breached"]
        assert api.register("ada@example.org").status == HTTPStatus.CREATED


def address_of(settings: Settings) -> str:
    address: str = settings.AUTH_PASSWORD_VALIDATORS[-1]["OPTIONS"]["service"]
    return address

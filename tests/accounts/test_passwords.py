"""What a password may be, and how it is kept."""

import time
import unicodedata
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from threading import Timer

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.services.password_rules import WeakPassword, check_new_password
from authsvc import hashing
from tests.accounts.hashers import PATIENCE_SECONDS, Watched
from tests.cast import OTHER_PASSWORD, PASSWORD, Api, enrol, post_round
from tests.ledger import stored

ADA = "ada@example.org"
TODAY = "argon2$argon2id$v=19$m=19456,t=2,p=1$"
PARROT = "\U0001f99c"


def codes(password: str, *, name: str = "Ada Lovelace", email: str = ADA) -> list[str]:
    """Return what is wrong with a password."""
    try:
        check_new_password(password, name=name, email=email)
    except WeakPassword as weak:
        return [problem.code.value for problem in weak.problems]
    return []


def verified(api: Api, password: str) -> None:
    assert api.register(ADA, password).status == HTTPStatus.CREATED
    api.verify(post_round()[0].token)


class TestPolicy:
    """The rules, by the code that a broken one answers."""

    @pytest.mark.parametrize(
        ("password", "expected"),
        [
            ("gh7 Ktz pQ 4", []),
            ("gh7 Ktz pQ4", ["password_too_short"]),
            (PARROT * 12, []),
            (PARROT * 11, ["password_too_short"]),
            ("gh7 Ktz " * 16, []),
            ("gh7 Ktz " * 16 + "x", ["password_too_long"]),
            (PARROT * 128, []),
            (PARROT * 129, ["password_too_long"]),
            ("SecurePass123!", []),
        ],
        ids=["12", "11", "12 astral", "11 astral", "128", "129", "128 astral", "129 astral", "the example"],
    )
    def test_it_has_12_to_128_code_points(self, password: str, expected: list[str]) -> None:
        assert codes(password) == expected

    @pytest.mark.parametrize(("letters", "expected"), [(11, ["password_too_short"]), (12, []), (128, [])])
    def test_code_points_are_counted_as_they_are_hashed(self, letters: int, expected: list[str]) -> None:
        decomposed = "u\u0308" * letters

        assert codes(decomposed) == codes(unicodedata.normalize("NFC", decomposed)) == expected

    @pytest.mark.parametrize(
        "password", ["administrator", "Administrator", "qwertyuiop123", "123456789123", " finalfantasy"]
    )
    def test_it_is_not_a_common_one(self, password: str) -> None:
        assert codes(password) == ["password_common"]

    @pytest.mark.parametrize(
        ("password", "name", "email"),
        [
            ("AdaLovelace1", "Ada Lovelace", ADA),
            ("ada.lovelace", "Ada Lovelace", ADA),
            ("ada@example.org", "Countess", ADA),
            ("Augusta.King1", "Countess", "augusta.king@example.org"),
            ("Mu\u0308nchhausen1", "M\u00fcnchhausen", ADA),
        ],
    )
    def test_it_does_not_resemble_name_or_address(self, password: str, name: str, email: str) -> None:
        assert codes(password, name=name, email=email) == ["password_similar"]

    def test_every_broken_rule_is_named(self) -> None:
        assert codes("ada", name="Ada") == ["password_too_short", "password_similar", "password_common"]
        assert codes("password") == ["password_too_short", "password_common"]

    @pytest.mark.django_db
    @pytest.mark.parametrize("password", ["gh7 Ktz pQ4", "administrator", "ada@example.org", "gh7 Ktz " * 17])
    def test_a_weak_one_opens_no_account(self, api: Api, password: str) -> None:
        before = stored()

        answer = api.register(ADA, password)

        assert (answer.status, answer.codes) == (HTTPStatus.BAD_REQUEST, codes(password))
        assert stored() == before

    @pytest.mark.django_db
    def test_a_weak_one_is_refused_alike_whether_the_address_is_taken_or_not(self, api: Api) -> None:
        enrol("taken@example.org")

        assert api.register("taken@example.org", "short").codes == api.register(ADA, "short").codes
        assert stored()["mail.OutgoingMail"] == stored()["audit.Event"] == []


@pytest.mark.django_db
@pytest.mark.both_databases
class TestSameness:
    """Two passwords are the same when they are the same text, and only then."""

    @pytest.mark.parametrize(
        ("registered", "typed"),
        [
            ("gr\u00fcne Pferde 7 \u1e69", "gru\u0308ne Pferde 7 s\u0307\u0323"),
            ("e\u0301tude 12 \u212bngstr", "\u00e9tude 12 \u00c5ngstr"),
        ],
    )
    def test_composed_and_decomposed_letters_are_one(self, api: Api, registered: str, typed: str) -> None:
        verified(api, registered)

        assert api.login(ADA, typed).status == HTTPStatus.OK
        assert api.login(ADA, registered).status == HTTPStatus.OK

    @pytest.mark.parametrize(
        ("registered", "typed"),
        [
            (f" {PASSWORD}", PASSWORD),
            (f"{PASSWORD} ", PASSWORD),
            (PASSWORD, f" {PASSWORD}"),
            (PASSWORD, f"{PASSWORD}\n"),
            (PASSWORD, PASSWORD.swapcase()),
            ("\ufb01ne horses 2024", "fine horses 2024"),
            ("0123456789abcdefghijklmnopqrstuvwxyz" * 2 + "A", "0123456789abcdefghijklmnopqrstuvwxyz" * 2 + "B"),
            ("0123456789abcdefghijklmnopqrstuvwxyz" * 2 + "A", "0123456789abcdefghijklmnopqrstuvwxyz" * 2),
            ("0123456789abcdefghijklmnopqrstuvwxyz" * 3, "0123456789abcdefghijklmnopqrstuvwxyz" * 3 + "!"),
        ],
        ids=["leading", "trailing", "led", "newline", "case", "ligature", "72 bytes", "cut at 72", "longer"],
    )
    def test_anything_else_makes_another(self, api: Api, registered: str, typed: str) -> None:
        verified(api, registered)

        assert api.login(ADA, typed).codes == ["invalid_credentials"]
        assert api.login(ADA, registered).status == HTTPStatus.OK

    @pytest.mark.parametrize("odd", ["tab\tand\x1bescape 12", "\u202eright to left 12", "1024 bytes" + PARROT * 118])
    def test_any_text_that_can_be_hashed_is_taken(self, api: Api, odd: str) -> None:
        verified(api, odd)

        assert api.login(ADA, odd).status == HTTPStatus.OK


@pytest.mark.django_db
@pytest.mark.both_databases
class TestHash:
    """Argon2id at the floor of ASVS 11.4.2."""

    def test_it_has_these_parameters_and_a_salt_of_its_own(self, api: Api) -> None:
        api.register(ADA)
        api.register("eve@example.org")

        first, second = User.objects.values_list("password", flat=True)
        assert first.startswith(TODAY)
        assert second.startswith(TODAY)
        assert first.split("$")[-2] != second.split("$")[-2]

    @pytest.mark.parametrize(
        "old",
        [
            PBKDF2PasswordHasher().encode(PASSWORD, "NaClNaClNaClNaClNaClNa", 1000),
            type("Older", (Argon2PasswordHasher,), {"time_cost": 1, "memory_cost": 1024, "parallelism": 1})().encode(
                PASSWORD, "NaClNaClNaClNaClNaClNa"
            ),
        ],
        ids=["PBKDF2", "Argon2 of other cost"],
    )
    def test_an_older_one_is_replaced_at_the_next_sign_in(self, api: Api, old: str) -> None:
        user = enrol(ADA)
        User.objects.filter(pk=user.pk).update(password=old)

        assert api.login(ADA, OTHER_PASSWORD).codes == ["invalid_credentials"]
        assert User.objects.get().password == old
        assert api.login(ADA).status == HTTPStatus.OK
        new = User.objects.get()
        assert new.password.startswith(TODAY)
        assert new.stamp == user.stamp
        assert api.login(ADA).status == HTTPStatus.OK
        assert User.objects.get().password == new.password

    def test_todays_one_stays_as_it_is(self, api: Api, alice: User) -> None:
        api.login(alice.email)

        assert User.objects.get().password == alice.password

    @pytest.mark.parametrize("nothing", ["", "!", "!unusable", "no hash at all"])
    def test_no_password_fits_where_there_is_none(self, api: Api, alice: User, nothing: str) -> None:
        User.objects.update(password=nothing)

        assert [api.login(alice.email, typed).codes for typed in (PASSWORD, "!", nothing or "x")] == [
            ["invalid_credentials"]
        ] * 3
        assert stored()["tokens.Session"] == []


@pytest.fixture
def pool(settings: Settings) -> Iterator[ThreadPoolExecutor]:
    """Two places for hashes, a fifth of a second of patience, and threads to fill the places."""
    settings.HASH_POOL_SIZE, settings.HASH_WAIT_SECONDS = 2, 0.2
    hashing._pool.cache_clear()
    with ThreadPoolExecutor(8) as threads:
        yield threads
        Watched.gate.set()
    hashing._pool.cache_clear()


@pytest.fixture
def watched(settings: Settings, pool: ThreadPoolExecutor) -> ThreadPoolExecutor:
    """The same, with a hasher that holds whoever checks a password."""
    Watched.begin()
    settings.PASSWORD_HASHERS = ["tests.accounts.hashers.Watched"]
    return pool


def check_in(threads: ThreadPoolExecutor, encoded: str, times: int) -> list[Future[bool]]:
    """Have threads check a password; return once two of them hold the places."""
    checks = [threads.submit(hashing.verify, PASSWORD, encoded) for _ in range(times)]
    for _ in range(min(times, 2)):
        assert Watched.entered.acquire(timeout=PATIENCE_SECONDS)
    return checks


@pytest.mark.django_db
class TestPool:
    """A burst waits, then is refused; it never takes the memory of the machine."""

    @pytest.mark.both_databases
    def test_whoever_finds_it_full_is_refused_after_the_wait(
        self, api: Api, alice: User, watched: ThreadPoolExecutor
    ) -> None:
        checks = check_in(watched, alice.password, 2)
        before = stored()
        began = time.monotonic()

        answers = [api.login(alice.email), api.login("nobody@example.org"), api.register(ADA)]

        waited = time.monotonic() - began
        assert [(answer.status, answer.codes) for answer in answers] == [(503, ["unavailable"])] * 3
        assert {answer.headers["Retry-After"] for answer in answers} == {"1"}
        assert stored() == before
        assert 0.6 <= waited < 8
        Watched.gate.set()
        assert [check.result() for check in checks] == [True, True]
        assert api.login(alice.email).status == HTTPStatus.OK

    def test_whoever_gets_a_place_in_time_is_served(
        self, api: Api, alice: User, watched: ThreadPoolExecutor, settings: Settings
    ) -> None:
        settings.HASH_WAIT_SECONDS = PATIENCE_SECONDS
        check_in(watched, alice.password, 2)
        opener = Timer(0.1, Watched.gate.set)
        opener.start()

        assert api.login(alice.email).status == HTTPStatus.OK
        opener.join()

    def test_no_more_hash_at_once_than_there_are_places(
        self, alice: User, watched: ThreadPoolExecutor, settings: Settings
    ) -> None:
        settings.HASH_WAIT_SECONDS = PATIENCE_SECONDS
        checks = check_in(watched, alice.password, 6)

        third_got_in = Watched.entered.acquire(timeout=0.2)
        Watched.gate.set()

        assert [check.result() for check in checks] == [True] * 6
        assert not third_got_in
        assert Watched.most_at_once == 2

    def test_a_failure_gives_its_place_back(self, pool: ThreadPoolExecutor) -> None:
        refusals = [pool.submit(hashing.make, None).exception() for _ in range(5)]  # type: ignore[arg-type]

        assert {type(refusal) for refusal in refusals} == {TypeError}
        assert hashing.verify(PASSWORD, hashing.make(PASSWORD))

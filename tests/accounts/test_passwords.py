"""What a password may be, and how it is kept."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from threading import Timer

import pytest
from argon2 import PasswordHasher
from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher
from pytest_django.fixtures import Settings

from accounts.models import User
from authsvc import hashing
from tests.accounts.hashers import PATIENCE_SECONDS, Watched
from tests.cast import OTHER_PASSWORD, PASSWORD, Api, enrol, post_round
from tests.ledger import stored

ADA = "ada@example.org"
TODAY = "argon2$argon2id$v=19$m=19456,t=2,p=1$"
LONG = "7-quiet-Harbours-under-copper-lights"  # 36 bytes


def verified(api: Api, password: str) -> None:
    assert api.register(ADA, password).status == HTTPStatus.CREATED
    api.verify(post_round()[0].token)


@pytest.mark.django_db
@pytest.mark.both_databases
class TestSameness:
    """Two passwords are the same when they are the same text, and only then."""

    @pytest.mark.parametrize(
        ("registered", "typed"),
        [
            ("Gr\u00fcne-Pferde-7-\u1e69", "Gru\u0308ne-Pferde-7-s\u0307\u0323"),
            ("e\u0301tude-12-\u212bngstr", "\u00e9tude-12-\u00c5ngstr"),
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
            ("\ufb01ne-Horses-2024", "fine-Horses-2024"),
            (LONG * 2 + "A", LONG * 2 + "B"),
            (LONG * 2 + "A", LONG * 2),
            (LONG * 3, LONG * 3 + "!"),
        ],
        ids=["leading", "trailing", "led", "newline", "case", "ligature", "72 bytes", "cut at 72", "longer"],
    )
    def test_anything_else_makes_another(self, api: Api, registered: str, typed: str) -> None:
        verified(api, registered)

        assert api.login(ADA, typed).codes == ["invalid_credentials"]
        assert api.login(ADA, registered).status == HTTPStatus.OK

    @pytest.mark.parametrize(
        "odd", ["Tab\tand\x1bescape-12", "\u202eRight-to-left-12", "At-most-128!" + "\u732b\U0001f99c" * 58]
    )
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
            type("Same", (Argon2PasswordHasher,), {"time_cost": 2, "memory_cost": 19456, "parallelism": 1})().encode(
                PASSWORD, "NaClNaClNaClNaClNaClNa"
            ),
            "argon2" + PasswordHasher(2, 19456, 1, hash_len=48).hash(PASSWORD),
            "argon2" + PasswordHasher(2, 19456, 1, hash_len=8).hash(PASSWORD),
        ],
        ids=["PBKDF2", "Argon2 of other cost", "Django's of this cost", "a longer digest", "a shorter digest"],
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

    @pytest.mark.parametrize(
        "damaged", ["argon2$", "argon2$argon2id$v=19$m=1,t=1,p=1$", TODAY, f"{TODAY}a$b", TODAY * 3]
    )
    def test_none_fits_a_damaged_one(self, api: Api, alice: User, damaged: str) -> None:
        User.objects.update(password=damaged)

        assert api.login(alice.email).codes == ["invalid_credentials"]

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
    hashing._turns.cache_clear()
    hashing.warm_up()
    with ThreadPoolExecutor(8) as threads:
        yield threads
        Watched.gate.set()
    hashing._turns.cache_clear()


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

    def test_the_turns_of_a_process_are_taken_before_it_has_threads(self, pool: ThreadPoolExecutor) -> None:
        hashing.warm_up()

        assert hashing._turns.cache_info().currsize == 1

    def test_a_failure_gives_its_place_back(self, pool: ThreadPoolExecutor) -> None:
        refusals = [pool.submit(hashing.make, None).exception() for _ in range(5)]  # type: ignore[arg-type]

        assert {type(refusal) for refusal in refusals} == {TypeError}
        assert hashing.verify(PASSWORD, hashing.make(PASSWORD))

"""Keys rotate on two web processes while people sign in, refresh and ask: nobody notices."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from threading import Event, Thread

import httpx

from tests.cast import PASSWORD
from tests.key_rotation import JWKS, kid_of
from tests.web_processes import Service

REQUESTS = 1500
PATIENCE_SECONDS = 120
RIPE = "UPDATE tokens_signingkey SET created_at = now() - interval '10 minutes' WHERE state = 'next'"


class Load:
    """People who use the service all the time, and what they were answered."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.answered = 0
        self.failed: Counter[str] = Counter()
        self.signers: set[str] = set()
        self._over = Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        email = self.service.enrolled()
        people: list[Callable[[], None]] = [self._keep_a_session, self._keep_a_session, self._keep_one_token]
        people.append(partial(self._sign_in_often, email))
        threads = [Thread(target=person) for person in people]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert time.monotonic() < deadline, (self.answered, self.failed)
            time.sleep(0.02)

    def _keep_a_session(self) -> None:
        tokens = self.service.signed_in()
        while not self._over.is_set():
            for _ in range(3):
                self._count("me", self.service.me(tokens["accessToken"]))
            refreshed = self.service.post("/auth/refresh", {"refreshToken": tokens["refreshToken"]})
            if self._count("refresh", refreshed):
                tokens = refreshed.json()["data"]
                self.signers.add(kid_of(tokens["accessToken"]))

    def _keep_one_token(self) -> None:
        token = self.service.signed_in()["accessToken"]
        while not self._over.is_set():
            self._count("me with the first token", self.service.me(token))

    def _sign_in_often(self, email: str) -> None:
        while not self._over.wait(0.2):
            answer = self.service.post("/auth/login", {"email": email, "password": PASSWORD})
            if self._count("login", answer):
                token = answer.json()["data"]["accessToken"]
                self.signers.add(kid_of(token))
                self._count("me after login", self.service.me(token))

    def _count(self, what: str, answer: httpx.Response) -> bool:
        self.answered += 1
        if answer.status_code != HTTPStatus.OK:
            self.failed[f"{what}: {answer.status_code} {answer.text}"] += 1
        return answer.status_code == HTTPStatus.OK


def test_two_rotations_under_load_fail_no_request(service: Service) -> None:
    load = Load(service)
    first = service.http.get(JWKS).json()["keys"][0]["kid"]
    active = [first]

    with load.running():
        load.until(lambda: first in load.signers)
        for _ in range(2):
            service.sql(RIPE)
            said = json.loads(service.command("rotate_signing_keys", "--json"))
            assert said["rotated"] is True
            active.append(said["active"])
            load.until(lambda: active[-1] in load.signers)
        load.until(lambda: load.answered >= REQUESTS)

    assert load.failed == Counter()
    assert load.answered >= REQUESTS
    assert load.signers == set(active)
    assert len(set(active)) == 3
    signing = service.sql("SELECT kid, state FROM tokens_signingkey WHERE state <> 'retired' ORDER BY state")
    assert [state for _kid, state in signing] == ["active", "next"]
    assert signing[0][0] == active[-1]


def test_after_a_leak_both_processes_refuse_the_old_tokens_within_a_second(service: Service) -> None:
    tokens = service.signed_in()
    ask = partial(service.me, tokens["accessToken"])
    for _ in range(10):
        assert ask().status_code == HTTPStatus.OK

    said = json.loads(service.command("rotate_signing_keys", "--now", "--json"))

    time.sleep(1.0)
    assert {ask().status_code for _ in range(20)} == {HTTPStatus.UNAUTHORIZED}
    for _ in range(10):
        assert [jwk["kid"] for jwk in service.http.get(JWKS).json()["keys"]] == [said["active"], said["next"]]
    refreshed = service.post("/auth/refresh", {"refreshToken": tokens["refreshToken"]})
    assert refreshed.status_code == HTTPStatus.OK
    token = refreshed.json()["data"]["accessToken"]
    assert kid_of(token) == said["active"]
    for _ in range(10):
        assert service.me(token).status_code == HTTPStatus.OK

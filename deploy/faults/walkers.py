"""People who register, sign in and set passwords, and write down what they are told."""

import json
import random
import secrets
import string
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from threading import Thread
from typing import Any

from deploy.bench.client import V1
from deploy.faults import store
from deploy.faults.ledger import Breach, Deed, Flaw, Person
from deploy.faults.traffic import Over, Traffic

ANSWER_SECONDS = 30.0
# A spent refresh token gives its successor for ten seconds; it was spent a little after it was sent.
GRACE_SECONDS = 8.0
DEEDS_PER_PERSON = 8
PAUSE_SECONDS = 0.1
_LETTERS = string.ascii_letters + string.digits


class Interrupted(Exception):
    """No answer came: the request was done, or it was not."""


class NotHeard(Exception):
    """Nobody listened: nothing was sent."""


class Unexpected(Exception):
    """An answer for which there is no reason, or a mail that is missing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    data: Any
    code: str

    @property
    def is_success(self) -> bool:
        """Whether the request was done."""
        return self.status < HTTPStatus.BAD_REQUEST


class Walker(Thread):
    """One person after the other, each from registration through some changes of the password."""

    def __init__(self, traffic: Traffic, port: int, seed: int) -> None:
        """Get ready; `seed` makes the choices."""
        super().__init__(daemon=True)
        self._traffic = traffic
        self._port = port
        self._rng = random.Random(seed)  # noqa: S311 - what to do next, and passwords of nobody

    def run(self) -> None:
        """Walk until the traffic is over."""
        while True:
            person = Person(f"{secrets.token_hex(10)}@faults.example.org", self._new_password())
            self._traffic.arrive(person)
            try:
                self._live(person)
            except Over:
                return
            except Unexpected as reason:
                self._traffic.note(error=f"{person.email}: {reason}")
            except Exception as failure:
                self._traffic.note(error=f"{person.email}: {failure!r}")
                raise

    def _live(self, person: Person) -> None:
        if not self._register(person):
            return
        self._verify(person)
        tokens: Mapping[str, str] = self._sign_in(person)
        for _deed in range(DEEDS_PER_PERSON):
            tokens = self._rng.choice([self._reset, self._change, self._refresh])(person, tokens)

    def _register(self, person: Person) -> bool:
        """Register; after an interruption once more under the same key, which must have one effect at most."""
        body = {"name": "Ada Lovelace", "email": person.email, "password": person.password}
        key, answer = secrets.token_hex(8), None
        while answer is None:
            is_done = bool(person.acknowledged[Deed.REGISTER])
            answer = self._send(
                person, Deed.REGISTER, "/auth/register", body, key=key, allowed={409}, counts=not is_done
            )
        if is_done and not answer.is_success:
            self._break(Flaw.LOST, person, f"registered, but the same request again gives {answer.code}")
        # Else the key is held for a minute by a process that is dead, and nothing else is left of it.
        return answer.is_success

    def _verify(self, person: Person) -> None:
        body = {"token": _token(person, store.VERIFY_MAIL)}
        while not person.acknowledged[Deed.VERIFY]:
            self._send(person, Deed.VERIFY, "/auth/verify-email", body)

    def _sign_in(self, person: Person) -> dict[str, str]:
        while True:
            answer = self._try_password(person, person.password)
            if answer is not None:
                break
        if not answer.is_success:
            self._break(Flaw.LOST, person, "the password that counts is refused")
            raise Unexpected("cannot sign in")
        tokens: dict[str, str] = answer.data
        return tokens

    def _refresh(self, person: Person, tokens: Mapping[str, str]) -> Mapping[str, str]:
        """Refresh; a token that was spent without an answer must give its successor once more."""
        body, sent_at = {"refreshToken": tokens["refreshToken"]}, time.monotonic()
        while True:
            asked_at = time.monotonic()
            answer = self._send(person, Deed.REFRESH, "/auth/refresh", body, allowed={401})
            if answer is not None:
                break
        if answer.is_success:
            renewed: dict[str, str] = answer.data
            return renewed
        if asked_at - sent_at > GRACE_SECONDS:
            self._traffic.note(late=1)
        else:
            self._break(Flaw.SPENT, person, f"a refresh token is refused {asked_at - sent_at:.1f} s after it was sent")
        return self._sign_in(person)

    def _change(self, person: Person, tokens: Mapping[str, str]) -> Mapping[str, str]:
        """Change the password; the session goes on, whether the answer came or not."""
        old, new = person.password, self._new_password()
        body = {"currentPassword": old, "newPassword": new}
        path, token = "/auth/password/change", tokens["accessToken"]
        if self._send(person, Deed.CHANGE, path, body, token=token, password=new) is None:
            self._prove(person, new, old)
        return tokens

    def _reset(self, person: Person, _tokens: Mapping[str, str]) -> Mapping[str, str]:
        """Ask for a link and use it, until that is done."""
        asked, reset = person.acknowledged[Deed.FORGOT], person.acknowledged[Deed.RESET]
        while person.acknowledged[Deed.FORGOT] == asked:
            body, key = {"email": person.email}, secrets.token_hex(8)
            self._send(person, Deed.FORGOT, "/auth/password/forgot", body, key=key)
        link = _token(person, store.RESET_MAIL)
        while person.acknowledged[Deed.RESET] == reset:
            old, new = person.password, self._new_password()
            body = {"token": link, "newPassword": new}
            if self._send(person, Deed.RESET, "/auth/password/reset", body, password=new) is None:
                self._prove(person, new, old)
        return self._sign_in(person)

    def _prove(self, person: Person, *candidates: str) -> None:
        """Sign in with each password that may count: only the one that the ledger found may do."""
        accepted = []
        for password in candidates:
            answer = None
            while answer is None:
                answer = self._try_password(person, password)
            accepted += [password] if answer.is_success else []
        if accepted != [person.password]:
            words = "the wrong one signs in" if len(accepted) == 1 else f"{len(accepted)} sign in"
            self._break(Flaw.HALF_DONE, person, f"of the old and the new password {words}")

    def _try_password(self, person: Person, password: str) -> Answer | None:
        body = {"email": person.email, "password": password}
        return self._send(person, Deed.SIGN_IN, "/auth/login", body, allowed={401})

    def _send(  # noqa: PLR0913 - a request has these parts
        self,
        person: Person,
        deed: Deed,
        path: str,
        body: Mapping[str, str],
        *,
        token: str = "",
        key: str = "",
        password: str | None = None,
        allowed: Collection[int] = (),
        counts: bool = True,
    ) -> Answer | None:
        """Return a success or an allowed refusal; after an interruption, once that is settled, None.

        Asks again where the service says that it cannot now. Raises `Unexpected`, `Over`.
        """
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Idempotency-Key": key} if key else {}
        while True:
            self._traffic.enter()
            if counts:
                person.begin(deed, password=password)
            began = time.monotonic()
            try:
                answer = self._exchange(path, json.dumps(body).encode(), headers, deed)
            except Interrupted:
                self._traffic.await_settlement()
                return None
            except NotHeard:
                answer = Answer(HTTPStatus.SERVICE_UNAVAILABLE, None, "")
            if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                break
            person.fail()
            self._traffic.note(refused=1)
            time.sleep(PAUSE_SECONDS)
        if answer.is_success:
            self._traffic.note_answer(deed, time.monotonic() - began)
            person.succeed()
            return answer
        person.fail()
        if answer.status not in allowed:
            raise Unexpected(f"{deed} gave {answer.status} {answer.code}")
        return answer

    def _exchange(self, path: str, body: bytes, headers: Mapping[str, str], deed: Deed) -> Answer:
        """Send one request on a connection of its own. Raises `NotHeard`, `Interrupted`."""
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)) as connection:
            try:
                connection.connect()
            except OSError as reason:
                raise NotHeard from reason
            self._traffic.note_sent(deed)
            try:
                connection.request("POST", V1 + path, body, dict(headers))
                response = connection.getresponse()
                document = json.loads(response.read())
            except (OSError, HTTPException, ValueError) as reason:
                raise Interrupted from reason
        problems = document.get("errors") or [{}]
        return Answer(response.status, document.get("data"), problems[0].get("code", ""))

    def _new_password(self) -> str:
        return f"aZ-7{''.join(self._rng.sample(_LETTERS, 14))}"

    def _break(self, flaw: Flaw, person: Person, words: str) -> None:
        self._traffic.note(breach=Breach(flaw, f"{person.email}: {words}"))


def _token(person: Person, template: str) -> str:
    token = store.token_of(person.email, template)
    if token is None:
        raise Unexpected(f"{template} is not in the outbox")
    return token

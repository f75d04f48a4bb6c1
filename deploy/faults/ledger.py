"""What people were promised, and whether the database kept it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Deed(StrEnum):
    """A request that changes something. Each but the refresh leaves one event in the audit log."""

    REGISTER = "register"
    VERIFY = "verify"
    SIGN_IN = "sign in"
    REFRESH = "refresh"
    FORGOT = "forgot"
    RESET = "reset"
    CHANGE = "change"


class Flaw(StrEnum):
    """A promise that was broken."""

    LOST = "lost"
    DUPLICATED = "duplicated"
    WITHOUT_MAIL = "accounts_without_mail"
    FOR_NOBODY = "mails_for_nobody"
    HALF_DONE = "half_done"
    SPENT = "spent_without_successor"
    DAMAGED = "damaged"


COUNTED = tuple(deed for deed in Deed if deed is not Deed.REFRESH)


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken promise, in words."""

    flaw: Flaw
    words: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database has of one address."""

    accounts: int = 0
    events: Mapping[Deed, int] = field(default_factory=dict)
    verification_mails: int = 0
    reset_mails: int = 0
    password_mails: int = 0
    unused_reset_links: int = 0
    stale_sessions: int = 0
    fitting: frozenset[str] = frozenset()

    def count(self, deed: Deed) -> int:
        """Return how often something was done."""
        return self.events.get(deed, 0)

    @property
    def passwords_set(self) -> int:
        """How often the password was replaced."""
        return self.count(Deed.CHANGE) + self.count(Deed.RESET)


@dataclass(frozen=True, slots=True)
class Census:
    """What the database has of everybody: numbers that must agree, whoever was promised what."""

    accounts: int = 0
    registrations: int = 0
    accounts_without_mail: int = 0
    mails_for_nobody: int = 0
    links: int = 0
    mails_with_link: int = 0
    passwords_set: int = 0
    password_mails: int = 0
    stale_sessions: int = 0


@dataclass(slots=True)
class Person:
    """Somebody, and what the service said yes to. At most one request is open: sent, and not answered."""

    email: str
    password: str = field(repr=False)
    acknowledged: Counter[Deed] = field(default_factory=Counter)
    open: Deed | None = None
    attempted: str | None = field(default=None, repr=False)

    def begin(self, deed: Deed, *, password: str | None = None) -> None:
        """Note a request that is about to be sent, and the password it would set."""
        self.open, self.attempted = deed, password

    def succeed(self) -> None:
        """Note that the open request was answered with success."""
        if self.open is not None:
            self.acknowledged[self.open] += 1
        self._close(done=True)

    def fail(self) -> None:
        """Note that the open request was refused: nothing may be left of it."""
        self._close(done=False)

    def settle(self, stored: Stored) -> bool:
        """Learn what became of the open request; tell whether it was done."""
        deed = self.open
        done = deed is not None and stored.count(deed) > self.acknowledged[deed]
        if done:
            self.succeed()
        else:
            self.fail()
        return done

    @property
    def candidates(self) -> list[str]:
        """The passwords of which exactly one counts."""
        return [self.password, *([self.attempted] if self.attempted is not None else [])]

    def _close(self, *, done: bool) -> None:
        if done and self.attempted is not None:
            self.password = self.attempted
        self.open = self.attempted = None


def judge(person: Person, stored: Stored) -> Iterator[Breach]:
    """Yield every promise to a person that the database broke."""
    yield from _counts(person, stored)
    yield from _account(person, stored)
    if stored.accounts:
        yield from _password(person, stored)


def judge_all(census: Census) -> Iterator[Breach]:
    """Yield every promise about everybody that the database broke."""
    if census.accounts_without_mail:
        yield Breach(Flaw.WITHOUT_MAIL, f"{census.accounts_without_mail} accounts without their mail")
    if census.mails_for_nobody:
        yield Breach(Flaw.FOR_NOBODY, f"{census.mails_for_nobody} mails for absent accounts")
    if census.stale_sessions:
        yield Breach(Flaw.HALF_DONE, f"{census.stale_sessions} sessions outlived the password they rest on")
    pairs = [
        ("accounts", census.accounts, "events of registrations", census.registrations),
        ("links", census.links, "mails with a link", census.mails_with_link),
        ("events of new passwords", census.passwords_set, "mails about them", census.password_mails),
    ]
    for one, ones, other, others in pairs:
        if ones != others:
            yield Breach(Flaw.HALF_DONE, f"{ones - others:+d} {one} against {other}")


def _counts(person: Person, stored: Stored) -> Iterator[Breach]:
    for deed in COUNTED:
        found, least = stored.count(deed), person.acknowledged[deed]
        if found < least:
            yield Breach(Flaw.LOST, f"{person.email}: {deed} acknowledged {least} times, found {found}")
        if found > least + (person.open is deed):
            yield Breach(Flaw.DUPLICATED, f"{person.email}: {deed} acknowledged {least} times, found {found}")


def _account(person: Person, stored: Stored) -> Iterator[Breach]:
    mails = stored.verification_mails
    if stored.accounts and not mails:
        yield Breach(Flaw.WITHOUT_MAIL, f"{person.email}: an account without its mail")
    if not stored.accounts and mails + stored.reset_mails + stored.password_mails:
        yield Breach(Flaw.FOR_NOBODY, f"{person.email}: mail for an absent account")
    if stored.accounts and mails > 1:
        yield Breach(Flaw.DUPLICATED, f"{person.email}: {mails} mails for one registration")


def _password(person: Person, stored: Stored) -> Iterator[Breach]:
    pairs = [
        ("requests of a reset", stored.count(Deed.FORGOT), "mails with its link", stored.reset_mails),
        ("new passwords", stored.passwords_set, "mails about them", stored.password_mails),
    ]
    for one, ones, other, others in pairs:
        if ones != others:
            yield Breach(Flaw.HALF_DONE, f"{person.email}: {ones} {one}, but {others} {other}")
    if stored.stale_sessions:
        yield Breach(Flaw.HALF_DONE, f"{person.email}: a session outlived the password it rests on")
    if person.open is Deed.RESET:
        is_done = stored.count(Deed.RESET) > person.acknowledged[Deed.RESET]
        if stored.unused_reset_links != (0 if is_done else 1):
            yield Breach(Flaw.HALF_DONE, f"{person.email}: {stored.unused_reset_links} links left after a reset")
    acknowledged = person.acknowledged[Deed.CHANGE] + person.acknowledged[Deed.RESET]
    is_new = person.attempted is not None and stored.passwords_set > acknowledged
    expected = {person.attempted if is_new else person.password}
    if stored.fitting != expected:
        kind = {0: "neither password", 2: "both passwords"}.get(len(stored.fitting), "the wrong password")
        yield Breach(Flaw.HALF_DONE, f"{person.email}: {kind} fits after {person.open or 'all was answered'}")

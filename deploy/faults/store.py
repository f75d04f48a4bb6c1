"""What the service's database has, read past the service, in statements that both databases know.

It needs the service's settings and keys, and nothing of its models: a judge has eyes of its own.
"""

import json
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import check_password
from django.db import connection

from authsvc import crypto
from deploy.faults.ledger import Census, Deed, Stored

VERIFY_MAIL = "accounts/email/verify_email"
RESET_MAIL = "accounts/email/reset_password"
PASSWORD_MAIL = "accounts/email/password_changed"  # noqa: S105 - a template, not a secret
DEVICE_MAIL = "accounts/email/new_device"
SETTLE_SECONDS = 10.0
_EVENTS = {
    "account.registration.created": Deed.REGISTER,
    "account.email.verified": Deed.VERIFY,
    "account.signin.succeeded": Deed.SIGN_IN,
    "account.password.reset_requested": Deed.FORGOT,
    "account.password.reset": Deed.RESET,
    "account.password.changed": Deed.CHANGE,
}
_OTHERS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)
_WITH_LINK = f"('{VERIFY_MAIL}', '{RESET_MAIL}', '{DEVICE_MAIL}')"
_CENSUS = f"""
SELECT
  (SELECT count(*) FROM accounts_user),
  (SELECT count(*) FROM audit_event WHERE action = 'account.registration.created'),
  (SELECT count(*) FROM accounts_user WHERE email NOT IN
    (SELECT recipient FROM mail_outgoingmail WHERE template = '{VERIFY_MAIL}')),
  (SELECT count(*) FROM mail_outgoingmail WHERE recipient NOT IN (SELECT email FROM accounts_user)),
  (SELECT count(*) FROM tokens_onetimetoken),
  (SELECT count(*) FROM mail_outgoingmail WHERE template IN {_WITH_LINK}),
  (SELECT count(*) FROM audit_event WHERE action IN ('account.password.changed', 'account.password.reset')),
  (SELECT count(*) FROM mail_outgoingmail WHERE template = '{PASSWORD_MAIL}'),
  (SELECT count(*) FROM tokens_session JOIN accounts_user ON accounts_user.id = user_id
    WHERE ended_at IS NULL AND tokens_session.stamp <> accounts_user.stamp)
"""  # noqa: S608 - constants of this module


def stored(email: str, candidates: Iterable[str]) -> Stored:
    """Return what there is of an address; `candidates` are the passwords to try."""
    mails = dict(
        _rows("SELECT template, count(*) FROM mail_outgoingmail WHERE recipient = %s GROUP BY template", email)
    )
    accounts = _rows("SELECT id, audit_key, password, stamp FROM accounts_user WHERE email = %s", email)
    seen = {
        "accounts": len(accounts),
        "verification_mails": mails.get(VERIFY_MAIL, 0),
        "reset_mails": mails.get(RESET_MAIL, 0),
        "password_mails": mails.get(PASSWORD_MAIL, 0),
    }
    if not accounts:
        return Stored(**seen)
    user_id, audit_key, password_hash, stamp = accounts[0]
    events = _rows(
        "SELECT action, count(*) FROM audit_event WHERE subject = %s AND outcome = 'success' GROUP BY action", audit_key
    )
    unused = "SELECT count(*) FROM tokens_onetimetoken WHERE user_id = %s AND consumed_at IS NULL AND purpose = %s"
    stale = "SELECT count(*) FROM tokens_session WHERE user_id = %s AND ended_at IS NULL AND stamp <> %s"
    return Stored(
        **seen,
        events={_EVENTS[action]: count for action, count in events if action in _EVENTS},
        unused_reset_links=_number(unused, user_id, "reset_password"),
        stale_sessions=_number(stale, user_id, stamp),
        fitting=frozenset(password for password in candidates if check_password(password, password_hash)),
    )


def census() -> Census:
    """Count everybody and everything."""
    return Census(*_rows(_CENSUS)[0])


def token_of(email: str, template: str) -> str | None:
    """Return the token in the newest mail of a kind to an address, delivered or not."""
    newest = (
        "SELECT id, sealed, rendered FROM mail_outgoingmail WHERE recipient = %s AND template = %s "
        "ORDER BY created_at DESC, id DESC LIMIT 1"
    )
    for mail_id, sealed, rendered in _rows(newest, email, template):
        seal = f"mail:{UUID(str(mail_id))}"
        if sealed:
            text = json.loads(crypto.unseal(bytes(sealed), context=seal))["link"]
        else:
            text = json.loads(crypto.unseal(bytes(rendered), context=f"{seal}:rendered"))["text"]
        found = re.search(r"#token=([\w-]+)", text)
        return found[1] if found else None
    return None


def settle() -> None:
    """Wait until the database has noticed whose processes are dead: it may be ending their last transaction."""
    if connection.vendor != "postgresql":
        return
    busy = f"SELECT count(*) {_OTHERS} AND xact_start IS NOT NULL"
    deadline = time.monotonic() + SETTLE_SECONDS
    while _number(busy) and time.monotonic() < deadline:
        time.sleep(0.005)


def await_write(*, within: float) -> None:
    """Return in the moment in which somebody writes, or after so many seconds.

    In PostgreSQL that is inside a transaction that has changed something; in SQLite, where it shows only
    in the log, about its commit.
    """
    deadline = time.monotonic() + within
    if connection.vendor == "sqlite":
        log = Path(f"{connection.settings_dict['NAME']}-wal")
        before = _shape(log)
        while _shape(log) == before and time.monotonic() < deadline:
            time.sleep(0.0005)
        return
    try:
        with connection.cursor() as cursor:
            while time.monotonic() < deadline:
                cursor.execute(f"SELECT 1 {_OTHERS} AND backend_xid IS NOT NULL")
                if cursor.fetchone():
                    return
    finally:
        connection.close()


def damage() -> str:
    """Return what SQLite finds wrong with its file, nothing where all is well or another database is asked."""
    if connection.vendor != "sqlite":
        return ""
    found = [line for (line,) in _rows("PRAGMA integrity_check")]
    found += [f"foreign key: {row}" for row in _rows("PRAGMA foreign_key_check")]
    return "" if found == ["ok"] else "; ".join(map(str, found))


def _shape(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _number(statement: str, *values: str | bytes | UUID) -> int:
    return int(_rows(statement, *values)[0][0])


def _rows(statement: str, *values: str | bytes | UUID) -> list[tuple[Any, ...]]:
    """Read on a connection of the moment: while one is open, SQLite would not recover as it does after a crash."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found
    finally:
        connection.close()

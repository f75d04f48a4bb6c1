"""The settings of a test run: an environment of its own, whatever the shell's says.

`TEST_PROFILE` is `postgresql` (real servers, named by `TEST_DATABASE_URL` and `TEST_REDIS_URL`) or
`embedded`. Without those URLs, as under mypy or `makemigrations --check`, SQLite in memory stands in.
"""

import os
import tempfile
from pathlib import Path

from config.env import Environment

_PROFILE = os.environ.get("TEST_PROFILE") or "postgresql"
if _PROFILE not in {"postgresql", "embedded"}:
    raise SystemExit("TEST_PROFILE must be postgresql or embedded")

for _name in Environment.model_fields:
    os.environ.pop(_name, None)
    os.environ.pop(f"{_name}_FILE", None)
os.environ.update(
    APP_ENV="embedded" if _PROFILE == "embedded" else "test",
    SECRET_KEY="tests sign with this key, which protects nothing anywhere",  # noqa: S106
    ENCRYPTION_KEYS="dGVzdHMgZW5jcnlwdCB3aXRoIHRoaXMga2V5IG9ubHk",
    PUBLIC_URL="http://127.0.0.1:8000",
    DEFAULT_FROM_EMAIL="authsvc <no-reply@authsvc.example>",
    LOG_LEVEL="WARNING",
    HASH_POOL_SIZE="4",
)
if _PROFILE == "postgresql" and os.environ.get("TEST_DATABASE_URL"):
    os.environ.update(DATABASE_URL=os.environ["TEST_DATABASE_URL"])
if _PROFILE == "postgresql" and os.environ.get("TEST_REDIS_URL"):
    os.environ.update(
        REDIS_URL=os.environ["TEST_REDIS_URL"],
        CELERY_BROKER_URL=os.environ.get("TEST_BROKER_URL") or "memory://localhost",
    )

from config.settings import *  # noqa: E402, F403 - after the environment is set
from config.settings import DATABASES  # noqa: E402

if _PROFILE == "embedded":
    # A file, as in embedded mode: SQLite in memory has other locks.
    STATE_DIR = Path(tempfile.mkdtemp(prefix="authsvc-tests-"))
    DATABASES["default"]["NAME"] = STATE_DIR / "authsvc.sqlite3"
    DATABASES["default"]["TEST"] = {"NAME": str(STATE_DIR / "test.sqlite3")}

"""Secrets that a machine of one makes for itself, once."""

import json
import os
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from config import values
from config.env import Environment, SettingsProblem

_FILE = "secrets.json"
_READABLE_BY_OTHERS = 0o077


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What the embedded profile signs and encrypts with."""

    secret_key: str
    encryption_keys: tuple[bytes, ...]


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner may enter, and return it.

    Raises `SettingsProblem` where it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as reason:
        raise SettingsProblem([(str(path), f"cannot be made ({reason.strerror})")]) from None
    return path


def secrets_of(folder: Path) -> Secrets:
    """Return the secrets kept in a folder, made by the first who asks.

    Raises `SettingsProblem` where they cannot be kept or read.
    """
    path = private_folder(folder) / _FILE
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & _READABLE_BY_OTHERS:
            path.chmod(0o600)
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Secrets(str(kept["SECRET_KEY"]), values.encryption_keys(kept["ENCRYPTION_KEYS"]))
    except OSError as reason:
        raise SettingsProblem([(str(path), f"cannot be kept ({reason.strerror})")]) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SettingsProblem([(str(path), "is damaged; what it encrypted opens with nothing else")]) from None


def secrets_for(env: Environment, folder: Path) -> Secrets:
    """Return the secrets of an environment, completed by those kept in a folder.

    Raises `SettingsProblem` like `secrets_of`.
    """
    given = env.SECRET_KEY.get_secret_value() if env.SECRET_KEY else ""
    if given and env.ENCRYPTION_KEYS:
        return Secrets(given, env.ENCRYPTION_KEYS)
    own = secrets_of(folder)
    return Secrets(given or own.secret_key, env.ENCRYPTION_KEYS or own.encryption_keys)


def _make(path: Path) -> None:
    """Write complete secrets under another name, then link: of several starters one wins, the others read his."""
    made = {
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ENCRYPTION_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode(),
    }
    draft = path.with_name(f".{_FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(made, file)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()

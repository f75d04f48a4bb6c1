"""What the values of settings must look like, and what they are read as.

Every function takes the text of one variable and returns its value or raises `ValueError` with a
sentence that says what is wrong. No sentence repeats the text: it may hold a password.
"""

import json
import re
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

_KEY_BYTES = 32
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_RATE = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,4})([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_METRICS_TOKEN_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Rate:
    """So many within so many seconds."""

    count: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL database, and the libpq parameters that its URL adds."""

    name: str
    user: str
    password: str = field(repr=False)
    host: str
    port: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Mailer:
    """Where mail goes: a server, the console, or a folder of files."""

    scheme: Literal["smtp", "smtps", "console", "file"]
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    folder: str = ""


def is_loopback(url: str) -> bool:
    """Tell whether a URL names this machine by loopback."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def secure_url(text: str) -> str:
    """Return an https URL, or an http one on loopback, without query, fragment and trailing slash."""
    parts = _split(text)
    if parts.scheme not in _DEFAULT_PORTS or "?" in text or "#" in text:
        raise ValueError("must be an https:// URL without query and fragment")
    if parts.scheme == "http" and not is_loopback(text):
        raise ValueError("must be https except on loopback")
    return _origin_of(parts) + parts.path.rstrip("/")


class Provider(BaseModel):
    """One OpenID Connect provider of `OIDC_PROVIDERS`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    name: str = Field(min_length=1, max_length=100)
    issuer: Annotated[str, BeforeValidator(secure_url)]
    clientId: str = Field(min_length=1)  # noqa: N815 - the names of the JSON
    clientSecret: SecretStr = Field(min_length=1)  # noqa: N815
    scopes: list[str] = ["openid", "email", "profile"]
    authoritative: bool | list[str] = False


def separated(text: str) -> tuple[str, ...]:
    """Return the entries of a comma-separated list."""
    return tuple(entry for entry in (part.strip() for part in text.split(",")) if entry)


def listed(parse: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    """Return a reader of comma-separated lists of what `parse` reads."""
    return lambda text: tuple(parse(entry) for entry in separated(text))


def origin(text: str) -> str:
    """Return `scheme://host[:port]` in lower case, without a default port."""
    parts = _split(text)
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("must start with https:// or http://")
    if parts.path not in {"", "/"} or "?" in text or "#" in text:
        raise ValueError("must be scheme and host only, without path, query or fragment")
    return _origin_of(parts)


def endpoint(text: str) -> str:
    """Return an http or https URL of another server."""
    parts = _split(text)
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("must start with https:// or http://")
    _origin_of(parts)
    return text


def redirect_target(text: str) -> str:
    """Return an absolute URI that a browser or an app may be sent to, compared exactly."""
    parts = _split(text)
    if not parts.scheme or "#" in text or "*" in text:
        raise ValueError("every entry must be an absolute URI without fragment and wildcard")
    if parts.scheme in _DEFAULT_PORTS:
        _origin_of(parts)
    elif "." not in parts.scheme and parts.scheme in {"javascript", "data", "file", "vbscript", "blob", "about"}:
        raise ValueError("has an entry with a scheme that no app owns")
    return text


def allowed_host(text: str) -> str:
    """Return a host name, an address, a `.domain` with all below it, or `*`."""
    host = text.lower()
    bare = host.removeprefix(".")
    if host == "*" or _HOST.fullmatch(bare) or _is_bracketed_address(bare):
        return host
    raise ValueError("every entry must be a host name without scheme, port and path")


def host_name(text: str) -> str:
    """Return a host name in lower case."""
    if not _HOST.fullmatch(text.lower()):
        raise ValueError("must be a host name without scheme and port")
    return text.lower()


def database(text: str) -> Database:
    """Return what a `postgresql://` URL names (libpq's form, parameters included)."""
    parts = _split(text)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("must start with postgresql://")
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not parameters.get("prepare_threshold", "0").isdecimal():
        raise ValueError("has a prepare_threshold that is no number")
    name = unquote(parts.path.removeprefix("/")) or parameters.pop("dbname", "")
    if not name or "/" in name or parts.fragment:
        raise ValueError("must name one database: postgresql://user:password@host:port/name")
    host = unquote(parts.hostname or "") or parameters.pop("host", "")
    return Database(
        name=name,
        user=unquote(parts.username or "") or parameters.pop("user", ""),
        password=unquote(parts.password or "") or parameters.pop("password", ""),
        host=host,
        port=str(parts.port or parameters.pop("port", "")),
        parameters=parameters,
    )


def redis(text: str) -> str:
    """Return a `redis://`, `rediss://` or `unix://` URL."""
    parts = _split(text)
    if "sentinel" in parts.scheme or "cluster" in parts.scheme or "," in parts.netloc:
        raise ValueError("Sentinel and Cluster are not available in this version; name one server")
    _check_redis(parts)
    return text


def broker(text: str) -> str:
    """Return the URL of a Celery broker: Redis, RabbitMQ, or the process's own memory."""
    parts = _split(text)
    if "sentinel" in parts.scheme or "cluster" in parts.scheme or ";" in text or "," in parts.netloc:
        raise ValueError("Sentinel, Cluster and lists of servers are not available in this version; name one server")
    if parts.scheme == "memory":
        return text
    if parts.scheme in {"amqp", "amqps"}:
        if not parts.hostname:
            raise ValueError("names no host")
        return text
    if parts.scheme not in {"redis", "rediss"}:
        raise ValueError("must start with redis://, rediss://, amqp:// or amqps://")
    _check_redis(parts)
    return text


def mailer(text: str) -> Mailer:
    """Return where mail goes."""
    parts = _split(text)
    match parts.scheme:
        case "console":
            return Mailer("console")
        case "file":
            if parts.netloc or not parts.path.startswith("/") or parts.path == "/":
                raise ValueError("must name a folder from the root: file:///folder")
            return Mailer("file", folder=unquote(parts.path))
        case "smtp" | "smtps":
            return _mail_server(parts)
    raise ValueError("must start with smtp://, smtps://, console:// or file:///")


def sender(text: str) -> str:
    """Return an address, alone or as `Name <address>`."""
    _name, address = parseaddr(text)
    if not text.isprintable() or not _ADDRESS.fullmatch(address):
        raise ValueError("must be an address, alone or as: Name <address>")
    return text


def rate(text: str) -> Rate:
    """Return a limit written as `100/15m`: so many per so many s, m, h or d."""
    match = _RATE.fullmatch(text)
    if not match:
        raise ValueError("must look like 100/15m: a number, then a time in s, m, h or d")
    count, amount, unit = match.groups()
    return Rate(int(count), int(amount) * _UNIT_SECONDS[unit])


def encryption_keys(text: str) -> tuple[bytes, ...]:
    """Return the keys, each base64url of 32 bytes, the one that encrypts first."""
    keys = tuple(_encryption_key(entry, place) for place, entry in enumerate(separated(text), start=1))
    if not keys:
        raise ValueError("holds no key")
    if len(set(keys)) != len(keys):
        raise ValueError("lists the same key twice")
    return keys


def jwt_algorithm(text: str) -> str:
    """Return the signing algorithm (RFC 7518)."""
    if text not in {"ES256", "EdDSA", "RS256"}:
        raise ValueError("must be ES256, EdDSA or RS256")
    return text


def secrets_backend(text: str) -> str:
    """Return where secrets come from."""
    if text in {"aws", "vault"}:
        raise ValueError(f"the backend {text} is not available in this version; use env")
    if text != "env":
        raise ValueError("must be env")
    return text


def metrics_token(text: str) -> SecretStr:
    """Return the bearer token of the metrics."""
    if len(text) < _METRICS_TOKEN_LENGTH or not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError(f"must have at least {_METRICS_TOKEN_LENGTH} printable ASCII characters and no space")
    return SecretStr(text)


def providers(text: str) -> tuple[Provider, ...]:
    """Return the OpenID Connect providers of a JSON list."""
    try:
        entries = TypeAdapter(tuple[Provider, ...]).validate_python(json.loads(text))
    except ValidationError as reason:
        first = reason.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ValueError(f"{place or 'the list'}: {first['msg']}") from None
    except json.JSONDecodeError as reason:
        raise ValueError(f"is not JSON (line {reason.lineno}, column {reason.colno})") from None
    if len({entry.id for entry in entries}) != len(entries):
        raise ValueError("lists the same id twice")
    return entries


def _split(text: str) -> SplitResult:
    if not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("has a character that no URL has")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a valid URL") from None
    return parts


def _origin_of(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or a password")
    if _is_bracketed_address(f"[{host}]"):
        host = f"[{host}]"
    elif not _HOST.fullmatch(host) or parts.netloc.endswith(":"):
        raise ValueError("names no valid host")
    port = f":{parts.port}" if parts.port is not None and parts.port != _DEFAULT_PORTS[parts.scheme] else ""
    return f"{parts.scheme}://{host}{port}"


def _is_bracketed_address(text: str) -> bool:
    if not (text.startswith("[") and text.endswith("]")):
        return False
    try:
        return ip_address(text[1:-1]).version == 6  # noqa: PLR2004 - IPv6
    except ValueError:
        return False


def _check_redis(parts: SplitResult) -> None:
    if parts.scheme == "unix":
        if not parts.path.startswith("/"):
            raise ValueError("names no socket")
        return
    if parts.scheme not in {"redis", "rediss"}:
        raise ValueError("must start with redis://, rediss:// or unix://")
    if not parts.hostname:
        raise ValueError("names no host")
    if not re.fullmatch(r"/?[0-9]{0,5}", parts.path):
        raise ValueError("must end in the number of a database")


def _mail_server(parts: SplitResult) -> Mailer:
    if not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("must look like smtp://user:password@host:port")
    secure = parts.scheme == "smtps"
    return Mailer(
        "smtps" if secure else "smtp",
        host=parts.hostname,
        port=parts.port or (465 if secure else 587 if parts.username else 25),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _encryption_key(text: str, place: int) -> bytes:
    try:
        key = urlsafe_b64decode(text.rstrip("=").encode("ascii") + b"=" * (-len(text.rstrip("=")) % 4))
    except (Base64Error, UnicodeEncodeError):
        raise ValueError(f"key {place} is not base64url") from None
    if not re.fullmatch(r"[A-Za-z0-9_-]+={0,2}", text):
        raise ValueError(f"key {place} is not base64url")
    if len(key) != _KEY_BYTES:
        raise ValueError(f"key {place} must be base64url of exactly {_KEY_BYTES} bytes")
    if len(set(key)) == 1:
        raise ValueError(f"key {place} is weak: all of its bytes are the same")
    return key

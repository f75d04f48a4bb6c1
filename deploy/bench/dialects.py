"""How each system wants to be asked: paths, bodies, and where its answers keep the tokens."""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import md5
from uuid import UUID

from deploy.bench.people import NAME, PASSWORD, WRONG_PASSWORD

DEVICE_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Dialect:
    """One HTTP interface for the same operations."""

    me: str
    login: str
    refresh: str
    register: str
    login_fields: tuple[str, ...]
    access_key: str
    refresh_key: str
    wrong_status: int
    registration: Callable[[str], Mapping[str, str]]
    of_device: Callable[[str], Mapping[str, str]] = lambda _name: {}

    def login_body(self, name: str, *, password: str = PASSWORD) -> str:
        """Return the sign-in of the person called that, whose address follows from the name, on a known device."""
        person = {field: _known_as(field, name) for field in self.login_fields}
        return _compact({**person, "password": password, **self.of_device(name)})

    def wrong_login_body(self, name: str) -> str:
        """Return a sign-in with a wrong password."""
        return self.login_body(name, password=WRONG_PASSWORD)

    def refresh_body(self, token: str) -> str:
        """Return a refresh."""
        return _compact({self.refresh_key: token})

    def register_body(self, name: str) -> str:
        """Return the registration of somebody new."""
        return _compact(self.registration(name))

    def access_token(self, body: bytes) -> str:
        """Return the access token of an answer."""
        return _value(self.access_key, body)

    def refresh_token(self, body: bytes) -> str:
        """Return the refresh token of an answer."""
        return _value(self.refresh_key, body)


def address(name: str) -> str:
    """Return the address of a person."""
    return f"{name}@bench.example.org"


def device_token(name: str) -> str:
    """Return the token of the device that the service knows of a person, as `service.populate` makes them."""
    return urlsafe_b64encode(device_id(name).bytes + bytes(DEVICE_SECRET_BYTES)).decode()


def device_id(name: str) -> UUID:
    """Return the id of that device: one that a database can make, too."""
    return UUID(md5(f"device of {name}".encode(), usedforsecurity=False).hexdigest())


def _known_as(field: str, name: str) -> str:
    return address(name) if field == "email" else name


def _compact(document: Mapping[str, str]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _value(key: str, body: bytes) -> str:
    found = re.search(rf'"{key}": ?"([^"]+)"'.encode(), body)
    if found is None:
        raise ValueError(f"no {key} in {body[:200]!r}")
    return found[1].decode()


AUTHSVC = Dialect(
    me="/api/v1/users/me",
    login="/api/v1/auth/login",
    refresh="/api/v1/auth/refresh",
    register="/api/v1/auth/register",
    login_fields=("email",),
    access_key="accessToken",
    refresh_key="refreshToken",
    wrong_status=401,
    registration=lambda name: {"name": NAME, "email": address(name), "password": PASSWORD},
    of_device=lambda name: {"deviceToken": device_token(name)},
)
DJ_REST_AUTH = Dialect(
    me="/dj-rest-auth/user/",
    login="/dj-rest-auth/login/",
    refresh="/dj-rest-auth/token/refresh/",
    register="/dj-rest-auth/registration/",
    login_fields=("username",),
    access_key="access",
    refresh_key="refresh",
    wrong_status=400,
    registration=lambda name: {
        "username": name,
        "email": address(name),
        "password1": PASSWORD,
        "password2": PASSWORD,
    },
)
DJOSER = Dialect(
    me="/auth/users/me/",
    login="/auth/jwt/create/",
    refresh="/auth/jwt/refresh/",
    register="/auth/users/",
    login_fields=("username",),
    access_key="access",
    refresh_key="refresh",
    wrong_status=401,
    registration=lambda name: {"username": name, "email": address(name), "password": PASSWORD},
)

"""A service that signs its requests (RFC 9421), written from the text of the standard alone."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any, Self
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.core.management import call_command

from tests.cast import V1, Answer, Api

PUBLIC_URL = "http://127.0.0.1:8000"
INTROSPECT, REVOKE = f"{V1}/auth/introspect", f"{V1}/auth/revoke"
FORM = "application/x-www-form-urlencoded"
COMPONENTS = ("@method", "@target-uri", "content-digest")
ALGORITHMS = ("hmac-sha256", "ed25519")


@dataclass(frozen=True, slots=True)
class Service:
    """One key of a service client, and the hand that signs with it."""

    client_id: str
    key_id: str
    algorithm: str
    secret: str = field(repr=False)

    @classmethod
    def created(cls, name: str = "billing", algorithm: str = "ed25519", *options: str) -> Self:
        """Ask the operator's command for it."""
        out = StringIO()
        call_command("create_service_client", "--name", name, "--algorithm", algorithm, "--json", *options, stdout=out)
        said = json.loads(out.getvalue())
        assert said.keys() == {"clientId", "keyId", "algorithm", "secret"}
        return cls(said["clientId"], said["keyId"], said["algorithm"], said["secret"])

    def sign(self, base: bytes) -> bytes:
        """Return the signature of a signature base."""
        if self.algorithm == "hmac-sha256":
            return hmac.digest(base64.urlsafe_b64decode(self.secret), base, "sha256")
        private = load_pem_private_key(self.secret.encode(), None)
        assert isinstance(private, Ed25519PrivateKey)
        return private.sign(base)

    def post(self, path: str, body: bytes = b"", content_type: str = FORM, **changes: Any) -> Answer:
        """POST a signed form; `changes` as in `Draft`."""
        draft = Draft(self, path=path, body=body)
        return (replace(draft, **changes) if changes else draft).send(content_type)

    def introspect(self, token: str, **more: str) -> Answer:
        """Ask about a token."""
        return self.post(INTROSPECT, urlencode({"token": token, **more}).encode())

    def revoke(self, token: str, **more: str) -> Answer:
        """Revoke a token."""
        return self.post(REVOKE, urlencode({"token": token, **more}).encode())


def byte_sequence(data: bytes) -> str:
    """Return a byte sequence of RFC 9651."""
    return f":{base64.b64encode(data).decode()}:"


def content_digest(body: bytes) -> str:
    """Return the field of RFC 9530."""
    return f"sha-256={byte_sequence(hashlib.sha256(body).digest())}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A request to be signed. What is left at its default is right."""

    service: Service
    path: str = INTROSPECT
    body: bytes = b"token=x"
    method: str = "POST"
    origin: str = PUBLIC_URL
    digest: str | None = None
    components: tuple[str, ...] = COMPONENTS
    label: str = "sig1"
    parameters: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    def headers(self) -> dict[str, str]:
        """Sign, and return the fields to send."""
        digest = content_digest(self.body) if self.digest is None else self.digest
        values = {"@method": self.method, "@target-uri": self.origin + self.path, "content-digest": digest}
        listed = " ".join(f'"{name}"' for name in self.components)
        signature_params = f"({listed}){self._parameters()}"
        lines = [f'"{name}": {values.get(name, "")}' for name in self.components]
        base = "\n".join([*lines, f'"@signature-params": {signature_params}'])
        signature = byte_sequence(self.service.sign(base.encode()))
        return {
            "Content-Digest": digest,
            "Signature-Input": f"{self.label}={signature_params}",
            "Signature": f"{self.label}={signature}",
        }

    def send(self, content_type: str = FORM, **changed: str) -> Answer:
        """Send it, with headers changed after signing; an empty one is left out."""
        headers = {name: value for name, value in {**self.headers(), **changed}.items() if value}
        return Api(REMOTE_ADDR="192.0.2.77").raw(self.method, self.path, self.body, content_type, **headers)

    def _parameters(self) -> str:
        usual = {"created": int(time.time()), "keyid": self.service.key_id, "nonce": secrets.token_urlsafe(16)}
        given = {name: value for name, value in {**usual, **self.parameters}.items() if name not in self.without}
        return "".join(
            f";{name}={value if isinstance(value, int) else _string(value)}" for name, value in given.items()
        )


def _string(value: Any) -> str:
    """Return a string of RFC 9651; bytes stand for themselves, to write anything else."""
    return value.decode() if isinstance(value, bytes) else f'"{value}"'

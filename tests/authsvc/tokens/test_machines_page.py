"""The example of docs/machines.md, run as it stands there, over a socket."""

import re
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from tests.cast import Api
from tests.signing import ALGORITHMS, Service

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = Path(__file__).resolve().parents[3] / "docs" / "machines.md"


@pytest.fixture
def example() -> dict[str, Any]:
    (code,) = re.findall(r"^```python\n(.+?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    return names


@pytest.fixture
def public_url(live_server: LiveServer, settings: Settings) -> str:
    settings.PUBLIC_URL = str(live_server.url)
    return str(live_server.url)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_example_asks_and_revokes(
    api: Api, alice: User, example: dict[str, Any], public_url: str, algorithm: str
) -> None:
    service = Service.created("billing", algorithm)
    tokens = api.login(alice.email).data
    key = {"keyId": service.key_id, "algorithm": algorithm, "secret": service.secret}

    with example["client"](public_url, key) as authsvc:
        assert example["is_live"](authsvc, tokens["accessToken"]) is True
        assert example["is_live"](authsvc, tokens["refreshToken"]) is False
        example["revoke"](authsvc, tokens["refreshToken"])
        assert example["is_live"](authsvc, tokens["accessToken"]) is False

"""A client made from the document alone walks the main job against the service over a socket."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.api_document import COMMITTED
from tests.cast import PASSWORD, post_round
from tests.measuring import unmeasured

PACKAGE = "authsvc_client_of_this_test"
# Its templates would be formatted by programs that a consumer need not have.
CONFIGURATION = "post_hooks: []\n"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.CompletedProcess[str]]:
    """The generator's run; the package it made can be imported."""
    folder = tmp_path_factory.mktemp("client")
    configuration = folder / "configuration.yaml"
    configuration.write_text(CONFIGURATION, encoding="utf-8")
    arguments = ["generate", "--path", str(COMMITTED), "--config", str(configuration), "--meta", "none"]
    yield subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *arguments, "--output-path", str(folder / PACKAGE)],
        env=unmeasured(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def package(generated: subprocess.CompletedProcess[str]) -> Iterator[Path]:
    folder = Path(generated.args[-1]).parent
    sys.path.insert(0, str(folder))
    yield folder / PACKAGE
    sys.path.remove(str(folder))


def part(name: str) -> ModuleType:
    return import_module(f"{PACKAGE}.{name}")


@contextmanager
def consumer(server: LiveServer, token: str | None = None) -> Iterator[Any]:
    module = part("client")
    made = module.Client(server.url) if token is None else module.AuthenticatedClient(server.url, token)
    with made as client:
        yield client


def call(client: Any, operation: str, status: HTTPStatus, **arguments: Any) -> Any:
    """What an operation answered, as the client's own model of it."""
    answer = part(f"api.{operation}").sync_detailed(client=client, **arguments)
    assert answer.status_code == status, answer.content
    assert answer.parsed is not None
    return answer.parsed


def test_the_generator_has_nothing_to_warn_of(generated: subprocess.CompletedProcess[str]) -> None:
    assert generated.returncode == 0, generated.stdout + generated.stderr
    assert "warning" not in (generated.stdout + generated.stderr).lower()


def test_every_module_of_the_client_imports(package: Path) -> None:
    modules = {
        ".".join(file.relative_to(package).with_suffix("").parts)
        for file in package.rglob("*.py")
        if file.name != "__init__.py"
    }

    for module in sorted(modules):
        part(module)

    operations = {module.rpartition(".")[2] for module in modules if module.startswith("api.")}
    assert {"register", "verify_email", "login", "refresh", "logout", "logout_all", "me", "update_me"} <= operations


@pytest.mark.usefixtures("package", "transactional_db")
def test_the_client_registers_verifies_signs_in_goes_on_and_signs_out(live_server: LiveServer) -> None:
    models = part("models")
    email = "ada@example.org"
    with consumer(live_server) as anybody:
        newcomer = models.RegisterInput(name="Ada", email=email, password=PASSWORD)
        registered = call(anybody, "registration.register", HTTPStatus.CREATED, body=newcomer).data
        proof = models.VerifyEmailInput(token=post_round()[0].token)
        assert call(anybody, "registration.verify_email", HTTPStatus.OK, body=proof).data.is_verified is True
        credentials = models.LoginInput(email=email, password=PASSWORD, device_name="Laptop")
        tokens = call(anybody, "sessions.login", HTTPStatus.OK, body=credentials).data
        assert (tokens.token_type, tokens.session.device.name) == ("Bearer", "Laptop")
    with consumer(live_server, tokens.access_token) as ada:
        assert call(ada, "account.me", HTTPStatus.OK).data.id == registered.id
        renamed = call(ada, "account.update_me", HTTPStatus.OK, body=models.ProfileInput(name="Ada Lovelace"))
        assert renamed.data.name == "Ada Lovelace"
        successor = models.RefreshInput(refresh_token=tokens.refresh_token)
        refreshed = call(ada, "sessions.refresh", HTTPStatus.OK, body=successor).data
        assert refreshed.session.id == tokens.session.id
        assert call(ada, "sessions.logout", HTTPStatus.OK, body=models.LogoutInput()).data is None
        refusal = call(ada, "account.me", HTTPStatus.UNAUTHORIZED)
        assert [problem.code.value for problem in refusal.errors] == ["invalid_token"]


@pytest.mark.usefixtures("package", "transactional_db")
def test_the_client_reads_refusals_and_the_documents_without_an_envelope(live_server: LiveServer) -> None:
    models = part("models")
    with consumer(live_server) as anybody:
        nobody = models.LoginInput(email="nobody@example.org", password="no Password of 1 anybody")
        refusal = call(anybody, "sessions.login", HTTPStatus.UNAUTHORIZED, body=nobody)
        assert (refusal.success, refusal.errors[0].code.value) == (False, "invalid_credentials")
        assert refusal.meta.status_code == HTTPStatus.UNAUTHORIZED
        assert call(anybody, "health.readyz", HTTPStatus.OK).status.value == "ready"
        assert {key.alg for key in call(anybody, "standards.jwks", HTTPStatus.OK).keys} == {"ES256"}

"""What the contract tests share."""

import socket
from pathlib import Path

import pytest

IN_FRONT_OF_ANY_DATABASE = {
    "test_architecture.py",
    "test_bodies.py",
    "test_envelope.py",
    "test_error_codes.py",
    "test_every_endpoint.py",
    "test_reach.py",
}


@pytest.fixture
def dead_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hold both databases to the contract: what a consumer may rely on must not depend on the profile.

    Left out is what is decided in front of any database; a module of that kind marks what is of both all the same.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.path.name not in IN_FRONT_OF_ANY_DATABASE:
            item.add_marker(pytest.mark.both_databases)

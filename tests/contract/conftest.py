"""What the contract tests share."""

import socket
from pathlib import Path

import pytest

BEFORE_ANY_DATABASE = {
    "test_architecture.py",
    "test_bodies.py",
    "test_envelope.py",
    "test_error_codes.py",
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

    Left out is what is decided before any database is asked; a module of that kind marks what is of both all the same.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.path.name not in BEFORE_ANY_DATABASE:
            item.add_marker(pytest.mark.both_databases)

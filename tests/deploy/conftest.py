from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that servers may live in: pytest closes its own `tmp_path` to other accounts whenever a run starts."""
    with TemporaryDirectory(prefix="authsvc-deploy-") as folder:
        yield Path(folder)

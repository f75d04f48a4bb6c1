"""The floors of the house, and the rules that no type checker sees."""

import ast
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from django.apps import apps
from django.dispatch import Signal

from tests.measuring import unmeasured

ROOT = Path(__file__).resolve().parents[2]
OURS = ("config", "accounts", "authsvc", "audit")
# Who may read the environment: the settings, and what starts a process before there are any.
READERS = {"config/env.py", "config/settings_test.py", "config/asgi.py", "config/wsgi.py", "config/celery.py"}
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-logo'])"


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in OURS:
        for file in sorted((ROOT / package).rglob("*.py")):
            yield str(file.relative_to(ROOT)), ast.parse(file.read_text(encoding="utf-8"))


def names(tree: ast.Module) -> set[str]:
    """Every dotted name that a module imports or uses."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                found |= {alias.name for alias in node.names}
            case ast.ImportFrom(module=str(module)):
                found |= {f"{module}.{alias.name}" for alias in node.names}
            case ast.Attribute(value=ast.Name(id=holder), attr=attribute):
                found.add(f"{holder}.{attribute}")
    return found


def test_the_import_contracts_hold() -> None:
    run = subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=ROOT,
        env=unmeasured(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stdout
    assert "0 broken" in run.stdout


def test_the_contracts_that_matter_are_there() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]

    floors = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert list(OURS) in floors
    assert any(contract["type"] == "acyclic_siblings" for contract in contracts)
    assert all(contract.get("exhaustive") for contract in contracts if "containers" in contract)
    assert not any("ignore_imports" in contract for contract in contracts)


def test_every_app_has_a_label_of_its_own() -> None:
    labels = Counter(config.label for config in apps.get_app_configs())

    assert max(labels.values()) == 1
    assert {"accounts", "authsvc", "tokens", "mail", "audit"} <= labels.keys()


def test_every_app_of_ours_says_its_label() -> None:
    for name, tree in modules():
        if name.endswith("/apps.py") and not name.startswith("config/"):
            classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
            assigned = {target.id for node in classes for line in node.body for target in _targets(line)}
            assert {"name", "label"} <= assigned, name


def _targets(line: ast.stmt) -> list[ast.Name]:
    if isinstance(line, ast.Assign):
        return [target for target in line.targets if isinstance(target, ast.Name)]
    return [line.target] if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) else []


def test_there_are_no_signals_of_our_own() -> None:
    banned = {"django.dispatch.Signal", "django.dispatch.receiver"}
    using = {
        name
        for name, tree in modules()
        if names(tree) & banned or any(used.startswith("django.db.models.signals") for used in names(tree))
    }

    assert Signal.__module__.startswith("django.dispatch")
    assert using == set()


def test_one_file_reads_the_environment() -> None:
    readers = {
        name
        for name, tree in modules()
        if names(tree) & {"os.environ", "os.getenv", "os.environb", "os.putenv", "environ.get"}
    }

    assert readers <= READERS | {name for name in readers if "/management/commands/" in name}
    assert "config/env.py" in readers


def test_commands_that_start_processes_alone_touch_the_environment_besides() -> None:
    commands = {
        name.rpartition("/")[2]
        for name, tree in modules()
        if "/management/commands/" in name and names(tree) & {"os.environ", "os.getenv"}
    }

    assert commands <= {"serve.py", "worker.py", "beat.py"}


def test_nothing_is_imported_inside_a_function() -> None:
    hidden = {
        f"{name}:{node.name}"
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in ast.walk(node))
    }

    assert hidden == set()


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    drawers = {"utils", "helpers", "common", "misc", "tools", "manager", "managers"}

    assert {name for name, _tree in modules() if Path(name).stem in drawers} == set()

"""Imports point down only: what stands on a lower floor knows nothing of the higher ones."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = (
    {"errors"},
    {"contract"},
    {"config", "tracking"},
    {"data"},
    {"models"},
    {"features", "registry"},
    {"training", "evaluation"},
    {"promotion", "monitoring", "active", "deployment"},
    {"tasks"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
OURS = {"digits", "serving", "pipelines", "hydra_plugins", "scripts"}
#: top-level package -> what of ours it may import
ALLOWED = {
    "serving": {"serving", "digits.errors", "digits.contract"},
    "hydra_plugins": {"hydra_plugins"},
    "pipelines": {"pipelines", "digits.errors"},
}
#: packages beside the library -> who in it may use them
USERS = {
    "serving": {"deployment", "tasks"},
    "hydra_plugins": {"training", "tasks"},
    "pipelines": {"tasks"},
}


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or within a function."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            whole = node.module in OURS  # `from digits import errors`
            names = [f"{node.module}.{each.name}" for each in node.names]
            yield from names if whole else [node.module]


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("file", files("digits"), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_floor_of_the_library_knows_only_lower_ones_and_its_own(file):
    own = FLOOR.get(file.relative_to(ROOT / "digits").parts[0].removesuffix(".py"), 0)
    room = file.relative_to(ROOT / "digits").parts[0]
    for module in imported(file):
        top, _, rest = module.partition(".")
        name = rest.partition(".")[0]
        if top == "digits" and name != room.removesuffix(".py"):
            assert FLOOR.get(name, 0) <= own, f"{module} is above"
        assert top != "scripts", module
        assert room in USERS.get(top, {room}), module


@pytest.mark.parametrize("package", ALLOWED)
def test_what_stands_beside_the_library_knows_little_of_it(package):
    for file in files(package):
        for module in imported(file):
            if module.partition(".")[0] in OURS:
                allowed = any(
                    module == each or module.startswith(f"{each}.") for each in ALLOWED[package]
                )
                assert allowed, f"{file.relative_to(ROOT)} imports {module}"


HEAVY = {"torch", "pytorch_lightning", "mlflow", "feast", "ray", "evidently", "kfp"}


@pytest.mark.parametrize("file", files("serving"), ids=lambda file: file.name)
def test_the_service_imports_nothing_heavy_not_even_late(file):
    assert HEAVY.isdisjoint(module.partition(".")[0] for module in imported(file))

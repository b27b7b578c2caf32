"""No code moves the champion but the one that journals it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOVES = {"set_registered_model_alias", "delete_registered_model_alias"}
SOURCES = sorted(
    file
    for place in ("digits", "hydra_plugins", "serving", "pipelines", "scripts", "run.py")
    for file in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*"))
    if file.suffix == ".py" or (file.parent.name == "scripts" and file.is_file())
)
GATE = "digits/promotion/champion.py"
CHALLENGER = "digits/registry/versions.py"


def _uses(text: str) -> list[str]:
    """Return the alias that each mention of a moving method is about, "?" where that is open."""
    tree = ast.parse(text)
    called = {
        id(node.func): node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    found = []
    for node in ast.walk(tree):
        named = node.value if isinstance(node, ast.Constant) else getattr(node, "attr", None)
        if named in MOVES:
            call = called.get(id(node))
            alias = call.args[1] if call and len(call.args) > 1 else None
            found.append(alias.id if isinstance(alias, ast.Name) else "?")
    return found


def test_champion_is_moved_by_the_gate_alone() -> None:
    found = {}
    for file in SOURCES:
        text = file.read_text(encoding="utf-8")
        if any(name in text for name in MOVES) and (
            file.suffix == ".py" or text.startswith("#!/usr/bin/env python")
        ):
            found[file.relative_to(ROOT).as_posix()] = _uses(text)
        elif file.suffix != ".py":
            assert not any(name in text for name in MOVES), file
    assert set(found) == {GATE, CHALLENGER}
    assert found[CHALLENGER] == ["CHALLENGER"]
    assert len(found[GATE]) == 2


@pytest.mark.parametrize(
    "code",
    [
        "client.set_registered_model_alias(name, alias, '1')",
        "getattr(client, 'delete_registered_model_alias')(name, 'champion')",
        "move = client.set_registered_model_alias",
    ],
)
def test_every_form_of_the_call_is_seen(code: str) -> None:
    assert len(_uses(code)) == 1


def test_sources_are_all_there() -> None:
    names = {file.relative_to(ROOT).as_posix() for file in SOURCES}
    assert {"run.py", GATE, CHALLENGER, "digits/tasks/train.py"} <= names

"""A lineage as trees on the screen: each thing below what led to it, in full once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.tree import Tree

from digits.data.version import shown
from digits.registry.lineage import (
    CORRECTION,
    DEPLOYMENT,
    KINDS,
    PREDICTION,
    SWEEP,
    TRAINING,
    VERSION,
    Lineage,
    Node,
)
from digits.tasks import commands
from digits.tasks.screens.data import short
from digits.tasks.screens.screen import show_next, standard_output

MOST_SHOWN = 20  # of one kind below one node; the JSON has all


def show(found: Lineage, file: Path, places: Sequence[str] = ()) -> None:
    """Print the trees, and what to type next: with ``places``, the overrides that say where."""
    console = standard_output()
    drawn: set[str] = set()
    for root in found.roots():
        console.print(_tree(found, root, drawn), highlight=False)
    console.print(f"\nJSON  {file}", highlight=False, soft_wrap=True)
    trained = [node for node in found.nodes.values() if _can_be_reproduced(node)]
    if trained:
        command = commands.run(f"reproduce={trained[0].id}", *places)
        show_next([(command, "train it again, compare the numbers")], console)


def _can_be_reproduced(node: Node) -> bool:
    return node.kind == TRAINING and node.facts.get("status") == "FINISHED"


def _tree(found: Lineage, node: Node, drawn: set[str]) -> Tree:
    mark = "  [bold yellow]← asked for[/bold yellow]" if node.id == found.subject else ""
    if node.id in drawn:
        return Tree(f"{_head(node)}  [dim](above)[/dim]{mark}")
    drawn.add(node.id)
    tree = Tree(line(node) + mark)
    for words in node.lacks:
        tree.add(f"[dim italic]{escape(words)}[/dim italic]")
    count: dict[str, int] = {}
    for each in found.after(node.id):
        count[each.kind] = count.get(each.kind, 0) + 1
        if count[each.kind] <= MOST_SHOWN:
            tree.children.append(_tree(found, each, drawn))
    for kind, number in count.items():
        if number > MOST_SHOWN:
            tree.add(f"[dim]… {number - MOST_SHOWN} more: {kind}[/dim]")
    return tree


def line(node: Node) -> str:
    """Return one line on a node: what it is, and the facts that tell it from others."""
    words = WORDS.get(node.kind, _data if node.kind.endswith("data") else _run)
    told = [escape(each) for each in words(node.facts) if each]
    return "  ".join([_head(node), *told])


def _head(node: Node) -> str:
    if node.kind == VERSION:
        name, _, number = node.id.rpartition("/")
        return f"[bold]{node.kind}[/bold] {escape(name)} {number}"
    if node.kind == DEPLOYMENT:
        return f"[bold]{node.kind}[/bold] {escape(node.facts['deployment'])}"
    if node.kind == CORRECTION:
        return f"[bold]{node.kind}[/bold]"
    named = shown(node.id) if node.kind.endswith("data") else node.id
    return f"[bold]{node.kind}[/bold] {escape(named)}"


def _data(facts: Mapping[str, Any]) -> list[str]:
    samples = f"{facts['samples']:,} samples" if "samples" in facts else ""
    made = facts.get("made", [])
    when = f"{made[-1]['when'][:16].replace('T', ' ')}" if made else ""
    by = f"commit {short(made[-1]['commit'])}" if made else ""
    config = f"config {made[-1]['config_digest'][:8]}" if made else ""
    return [facts.get("name") or "", samples, when, by, config]


def _run(facts: Mapping[str, Any]) -> list[str]:
    status = facts["status"] if facts["status"] != "FINISHED" else ""
    return [facts["started"][:16].replace("T", " "), status, f"commit {short(facts['commit'])}"]


def _sweep(facts: Mapping[str, Any]) -> list[str]:
    return [*_run(facts), facts.get("overrides", "")]


def _training(facts: Mapping[str, Any]) -> list[str]:
    if "status" not in facts:
        return []  # deleted
    again = {"true": "reproduced to the last bit", "false": "NOT reproduced"}
    return [
        *_run(facts),
        f"config {facts['config_digest'][:8]}",
        f"seed {facts['seed']}",
        f"job {facts['job']}" if "job" in facts else "",
        f"stopped early after {facts['pruned']} epochs" if "pruned" in facts else "",
        again.get(facts.get("reproduced", ""), ""),
        _percent(facts, "test/accuracy", "test"),
        "" if "test/accuracy" in facts["metrics"] else _percent(facts, "validation/accuracy", ""),
        f"({facts['overrides']})" if facts.get("overrides") else "",
    ]


def _version(facts: Mapping[str, Any]) -> list[str]:
    return [
        f"({', '.join(facts['aliases'])})" if facts["aliases"] else "",
        facts["registered"][:16].replace("T", " "),
        f"accuracy {float(facts['accuracy']):.2%}" if "accuracy" in facts else "",
        f"onnx {facts.get('onnx_sha256', '')[:12]}",
        f"weights {facts.get('weights_sha256', '')[:12]}",
    ]


def _evaluation(facts: Mapping[str, Any]) -> list[str]:
    return [
        *_run(facts),
        f"on {facts.get('data_name')} {shown(facts.get('data_digest', ''))}",
        _percent(facts, "test/accuracy", "accuracy"),
        _percent(facts, "robustness/mean", "corrupted"),
    ]


def _decision(facts: Mapping[str, Any]) -> list[str]:
    return [*_run(facts), str(facts.get("decision", "undecided"))]


def _move(facts: Mapping[str, Any]) -> list[str]:
    before, after = facts["before"]["champion"], facts["after"]["champion"]
    return [f"champion: version {after}, " + (f"was version {before}" if before else "the first")]


def _deployment(facts: Mapping[str, Any]) -> list[str]:
    since = facts["first"][:16].replace("T", " ") if "first" in facts else ""
    count = facts.get("predictions", 0)
    return [
        " on ".join(str(facts[name]) for name in ("kind", "host") if name in facts),
        f"{count:,} prediction{'' if count == 1 else 's'}" if count else "",
        f"since {since}" if since else "",
    ]


def _prediction(facts: Mapping[str, Any]) -> list[str]:
    return [
        facts["time"][:19].replace("T", " "),
        f"answered {facts['digit']} ({facts['confidence']:.1%})",
        "and took it for no digit" if facts["is_digit"] is False else "",
        f"key {facts['key']}" if facts["key"] else "",
        f"through {facts['source']}",
    ]


def _correction(facts: Mapping[str, Any]) -> list[str]:
    when = facts["time"][:19].replace("T", " ")
    return [when, f"{facts['label']} suggested through {facts['origin']}"]


def _percent(facts: Mapping[str, Any], metric: str, name: str) -> str:
    value = facts.get("metrics", {}).get(metric)
    return "" if value is None else f"{name} {value:.2%}".strip()


WORDS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    SWEEP: _sweep,
    TRAINING: _training,
    VERSION: _version,
    DEPLOYMENT: _deployment,
    PREDICTION: _prediction,
    CORRECTION: _correction,
    KINDS["evaluate"]: _evaluation,
    KINDS["promote"]: _decision,
    "promotion": _move,
    "rollback": _move,
}

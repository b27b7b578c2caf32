"""The files of docker/: what they show exists, what they hold is no secret and nobody's machine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from digits.contract.drift_history import Watched
from serving.metrics import Metrics

ROOT = Path(__file__).parents[2]
STACK = ROOT / "docker" / "stack"
RULES = yaml.safe_load((STACK / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
NAME = re.compile(r"\bdigits[_:][a-z0-9_:]+")
CONSOLE = (STACK / "prometheus" / "consoles" / "digits.html").read_text(encoding="utf-8")
DASHBOARD = json.loads((STACK / "grafana/dashboards/digits.json").read_text(encoding="utf-8"))
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))


def rules():
    return [rule for group in RULES["groups"] for rule in group["rules"]]


RECORDED = {rule["record"] for rule in rules() if "record" in rule}


@pytest.fixture(scope="module")
def told():
    """Every name that the service tells Prometheus."""
    metrics = Metrics()
    metrics.request("/v1/predict", 200, 0.001)
    metrics.predictions("digits/1", "/v1/predict", 1, 1)
    values = dict.fromkeys(Watched._fields, 0.5) | {"version": "digits/1", "status": "steady"}
    metrics.drift(Watched(**values))
    families = text_string_to_metric_families(metrics.text().decode())
    return {sample.name for family in families for sample in family.samples}


def shown():
    """Every expression of both dashboards."""
    return [each["expr"] for panel in DASHBOARD["panels"] for each in panel["targets"]] + [CONSOLE]


def test_rules_and_dashboards_ask_for_what_the_service_tells(told):
    for expression in [rule["expr"] for rule in rules()] + shown():
        assert set(NAME.findall(expression)) <= told | RECORDED, expression


def test_every_rule_is_of_use():
    used = {name for text in shown() for name in NAME.findall(text)}
    used |= {name for rule in rules() if "alert" in rule for name in NAME.findall(rule["expr"])}
    assert used >= RECORDED


def test_both_dashboards_show_the_same_rules():
    panels = " ".join(expression for expression in shown()[:-1])
    for name in RECORDED:
        assert name in panels and name in CONSOLE, name


def test_dashboard_is_one_that_grafana_reads():
    assert DASHBOARD["uid"] == "digits" and DASHBOARD["schemaVersion"] >= 39
    source = yaml.safe_load(
        (STACK / "grafana/provisioning/datasources/prometheus.yaml").read_text()
    )
    (source,) = source["datasources"]
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    covered = set()
    for panel in panels:
        assert panel["title"] and panel["type"] in {"stat", "timeseries", "table"}
        assert all(each["datasource"]["uid"] == source["uid"] for each in panel["targets"])
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24 and covered.isdisjoint(cells), panel["title"]
        covered |= cells


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_containers_of_the_stack_are_shut_in(name):
    service = COMPOSE["services"][name]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "build" not in service and "privileged" not in service


def test_secrets_of_the_stack_stand_in_no_file():
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|AUTH$|KEY|TOKEN", name):
                assert re.fullmatch(r"\$\{[A-Z_]+(:\?.*|:-)\}", str(value)), name


@pytest.mark.parametrize(
    "file",
    sorted(
        each for each in (ROOT / "docker").rglob("*") if each.is_file() and each.suffix != ".pyc"
    ),
    ids=lambda file: str(file.relative_to(ROOT / "docker")),
)
def test_nothing_of_one_machine_stands_in_a_file_of_docker(file):
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"BEGIN CERTIFICATE|index-url ?=|/home/|/root/(?!\.cache/pip)", text)

"""The file that Kubeflow gets: what is in it, and that it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.compiled import Compile
from pipelines.order import Order
from pipelines.pods import Pods
from tests.integration.pipelines.conftest import World

PODS = Pods(
    resources={"default": {"cpu": "500m", "memory": "1Gi"}, "train": {"cpu": "4", "gpu": 1}},
    environment={"AWS_REGION": "eu-central-1"},
    secrets={"MLFLOW_TRACKING_TOKEN": "mlflow/token"},
    volumes={"/data": "digits"},
    retries=2,
    timeout_seconds=600,
    pull_secrets=["registry"],
    node_selector={"disk": "fast"},
)


@pytest.fixture
def write(tmp_path: Path, order: Order):
    def write(changed: Order | None = None, pods: Pods = PODS) -> Path:
        runner = Compile(
            file=str(tmp_path / "written" / "digits.yaml"),
            image="registry.example.org/digits-python@sha256:c0de",
            root=str(tmp_path / "outputs"),
            pods=pods,
        )
        runner.run(changed or order, tmp_path, lambda event: None)
        return runner.file

    return write


@pytest.fixture
def documents(write, order: Order) -> tuple[dict[str, Any], dict[str, Any]]:
    whole = replace(order, when="drift", feature_store="local", search="asha")
    pipeline, platform = yaml.safe_load_all(write(whole).read_text())
    return pipeline, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def test_every_step_is_in_the_image_and_installs_nothing(documents) -> None:
    executors = documents[0]["deploymentSpec"]["executors"]
    assert len(executors) == 11
    for executor in executors.values():
        container = executor["container"]
        assert container["image"] == "registry.example.org/digits-python@sha256:c0de"
        assert "pip install" not in str(container)


def test_artifacts_have_their_types(documents) -> None:
    components = documents[0]["components"]
    types = {
        (name.removeprefix("comp-"), artifact): about["artifactType"]["schemaTitle"]
        for name, component in components.items()
        if "executorLabel" in component
        for artifact, about in component.get("outputDefinitions", {}).get("artifacts", {}).items()
    }
    expected = {
        ("data", "dataset"): "system.Dataset",
        ("train", "model"): "system.Model",
        ("train", "metrics"): "system.Metrics",
        ("evaluate", "confusion"): "system.ClassificationMetrics",
        ("evaluate", "page"): "system.HTML",
        ("gate", "evidence"): "system.HTML",
        ("promote", "card"): "system.Markdown",
        ("report", "report"): "system.Markdown",
    }
    assert expected.items() <= types.items()


def test_overrides_are_parameters_with_what_was_typed_as_default(write, order: Order) -> None:
    file = write(replace(order, overrides={"train": ["model=lenet"]}))
    pipeline, _ = yaml.safe_load_all(file.read_text())
    parameters = pipeline["root"]["inputDefinitions"]["parameters"]
    assert parameters["train"]["defaultValue"] == ["model=lenet"]
    assert parameters["place"]["defaultValue"]["data"] == ["data=uci"]


def test_pods_get_resources_secrets_volumes_and_the_rest(documents) -> None:
    pipeline, platform = documents
    container = pipeline["deploymentSpec"]["executors"]["exec-train"]["container"]
    resources = container["resources"]
    assert resources["resourceCpuLimit"] == resources["resourceCpuRequest"] == "4"
    assert resources["resourceMemoryLimit"] == "1Gi"
    assert resources["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert resources["accelerator"]["resourceCount"] == "1"
    assert {"name": "AWS_REGION", "value": "eu-central-1"} in container["env"]
    train = platform["exec-train"]
    assert train["secretAsEnv"][0]["secretName"] == "mlflow"
    assert train["pvcMount"][0]["mountPath"] == "/data"
    assert train["nodeSelector"] == {"labels": {"disk": "fast"}}
    assert train["activeDeadlineSeconds"] == "600"


def tasks_of(pipeline: dict[str, Any]) -> dict[str, Any]:
    """Every task of the pipeline, also those within a condition."""
    dags = [pipeline["root"], *pipeline["components"].values()]
    return {
        name: task for each in dags if "dag" in each for name, task in each["dag"]["tasks"].items()
    }


def test_what_moves_or_deploys_is_not_retried_and_what_looks_is_not_cached(documents) -> None:
    tasks = tasks_of(documents[0])
    retried = {name for name, task in tasks.items() if "retryPolicy" in task}
    assert {"data", "search", "train", "evaluate", "gate"} <= retried
    assert retried.isdisjoint({"promote", "deploy", "report"})
    steps = {"drift", "data", "features", "search", "train", "evaluate", "gate", "deploy"}
    cached = {name for name in steps if tasks[name]["cachingOptions"].get("enableCache")}
    assert cached == {"search", "train", "evaluate"}


def test_the_report_is_made_whatever_happens(documents) -> None:
    report = documents[0]["root"]["dag"]["tasks"]["report"]
    assert report["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"


@pytest.mark.filterwarnings("ignore:Task '.*have no effect in the current local runner")
@pytest.mark.parametrize(
    ("judge", "last"), [(0, ["judge", "promote", "deploy"]), (12, ["train", "evaluate", "judge"])]
)
def test_the_file_itself_runs(
    world: World, write, order: Order, tmp_path: Path, judge: int, last: list[str]
) -> None:
    from kfp import components, local

    world.say(judge=judge)
    file = write(order, replace(PODS, retries=0))
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"))
    components.load_component_from_file(str(file))(train=["model=lenet"])
    assert world.tasks[-4:] == [*last, "lineage"]
    assert "model=lenet" in world.asked[1]


def test_a_component_says_that_the_image_lacks_the_project(monkeypatch) -> None:
    import sys

    from pipelines import components

    monkeypatch.setitem(sys.modules, "pipelines", None)
    with pytest.raises(SystemExit, match="The image lacks the project"):
        components.project()

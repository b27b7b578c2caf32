"""What people and scripts rely on: an option, route, script or exit code that goes is a breach.

Whoever changes one of these on purpose changes it here too, and writes it into CHANGELOG.md.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from digits import errors

ROOT = Path(__file__).resolve().parents[2]

OPTIONS = {
    "acquisition": (
        "badge bald batchbald coreset entropy least_confidence margin random variation_ratios"
    ),
    "augmentation": (
        "affine affine_batched elastic elastic_batched handwriting_batched none "
        "robust_batched strong strong_batched"
    ),
    "callbacks": "average default none",
    "data": "folder mnist uci",
    "deployment": "docker kserve lambda local sagemaker torchserve",
    "drift": "evidently plain",
    "experiment": "best mnist_best mnist_fast mnist_few_labels mnist_loop mnist_robust mnist_tiny",
    "explainer": (
        "all deeplift gradcam guided_backprop input_x_gradient integrated_gradients "
        "occlusion saliency smoothgrad"
    ),
    "features": "local none postgres redis",
    "gate": "default strict",
    "hydra/launcher": "ray",
    "hydra/sweeper": "search",
    "model": "cnn lenet linear mlp quick resnet tiny",
    "optimizer": "adadelta adam adamw sgd",
    "paths": "default",
    "pipeline": "cluster compile docker subprocess",
    "recipe": "folder mnist uci",
    "scheduler": "constant cosine onecycle step",
    "search_space": "cnn lenet linear mlp quick resnet tiny",
    "serving": "default",
    "task": (
        "active check data deploy drift evaluate explain features lineage loop pipeline "
        "promote select serve train"
    ),
    "tracking": "local server",
    "trainer": "cpu ddp debug default gpu",
    "training": "semi_supervised supervised",
    "tuner": "asha grid hyperband median none pbt random tpe tpe_asha",
}
SCRIPTS = (
    "bench bootstrap ci compose docs down emulator engine image lint lock mutate run schemas "
    "services test up"
)
EXIT_CODES = {
    "DigitsError": 1,
    "ConfigError": 2,
    "ResumeError": 2,
    "ReproductionError": 2,
    "DriftError": 10,
    "CannotTellError": 11,
    "RejectedError": 12,
}
ROUTES = {
    "/healthz": "get",
    "/metrics": "get",
    "/ping": "get",
    "/readyz": "get",
    "/v1/predict": "post",
    "/v1/explain": "post",
    "/v1/feedback": "post",
    "/v1/model": "get",
    "/v1/drift": "get",
    "/v1/samples/{sample}": "get",
    "/v1/labelling/next": "post",
    "/v1/labelling/label": "post",
    "/v1/labelling/skip": "post",
    "/v1/labelling/undo": "post",
    "/v1/labelling/labellers": "get",
    "/v2": "get",
    "/v2/health/live": "get",
    "/v2/health/ready": "get",
    "/v2/models/{name}": "get",
    "/v2/models/{name}/ready": "get",
    "/v2/models/{name}/infer": "post",
    "/v2/models/{name}/versions/{number}": "get",
    "/v2/models/{name}/versions/{number}/ready": "get",
    "/v2/models/{name}/versions/{number}/infer": "post",
    "/invocations": "post",
}


def test_every_option_of_every_group_is_listed():
    conf = ROOT / "conf"
    found = {
        str(folder.relative_to(conf)): " ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        for folder in sorted(conf.rglob("*"))
        if folder.is_dir() and any(folder.glob("*.yaml"))
    }
    assert found == OPTIONS


def test_every_script_is_listed():
    scripts = ROOT / "scripts"
    found = sorted(file.name for file in scripts.iterdir() if file.is_file() and not file.suffix)
    assert found == SCRIPTS.split()


@pytest.mark.parametrize(("name", "code"), EXIT_CODES.items())
def test_exit_codes_stay(name, code):
    assert getattr(errors, name).exit_code == code


def test_every_route_is_listed():
    from serving.app import create_app
    from serving.settings import Settings

    service = create_app(Settings(pointer=ROOT / "no-bundle"))._app
    paths = service.openapi()["paths"]
    found = {path: " ".join(sorted(methods)) for path, methods in paths.items()}
    assert found == ROUTES


def test_all_extras_are_all_there_are():
    # scripts/bootstrap takes an environment with `all` for one that has each of them.
    described = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = described["optional-dependencies"]
    (everything,) = extras.pop("all")
    assert sorted(everything.removeprefix("digits[").removesuffix("]").split(",")) == sorted(extras)

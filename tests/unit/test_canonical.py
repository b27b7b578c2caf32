from __future__ import annotations

from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from digits.config.canonical import canonical, differences, digest, flatten, to_yaml
from digits.errors import ConfigError


def tree(**changes: Any) -> DictConfig:
    config = OmegaConf.create(
        {
            "seed": 1,
            "check_only": False,
            "resume": None,
            "unused": {"a": 1},
            "paths": {"root": "/here", "output": "${paths.root}/out"},
            "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.001, "betas": [0.9, 0.999]},
            "callbacks": {
                "checkpoint": {"folder": "${paths.output}/checkpoints", "keep": "${keep}"}
            },
            "keep": 2,
            "task": {
                "_target_": "digits.tasks.train.train",
                "optimizer": "${optimizer}",
                "callbacks": "${callbacks}",
                "seed": "${seed}",
                "resume": "${resume}",
                "note": None,
            },
        }
    )
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", "."), value, force_add=True)
    return config


def test_it_holds_what_the_run_reads_and_nothing_else() -> None:
    assert canonical(tree()) == {
        "seed": 1,
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.001, "betas": [0.9, 0.999]},
        "callbacks": {"checkpoint": {"folder": "${paths.output}/checkpoints", "keep": 2}},
        "keep": 2,
        "task": {
            "_target_": "digits.tasks.train.train",
            "optimizer": "${optimizer}",
            "callbacks": "${callbacks}",
            "seed": 1,
            "resume": "${resume}",
            "note": None,
        },
    }


def test_it_is_plain_data() -> None:
    content = canonical(tree())
    assert type(content["optimizer"]) is dict
    assert type(content["optimizer"]["betas"]) is list


def test_the_task_read_alone_leaves_the_rest_of_a_group_out() -> None:
    config = tree(loader={"size": 3, "unread": 4}, task__size="${loader.size}")
    assert canonical(config)["loader"] == {"size": 3}


def test_what_is_left_out_is_a_parameter() -> None:
    content = canonical(tree(), excluded=("optimizer.lr",), frame=("seed", "paths"))
    assert "lr" not in content["optimizer"]
    assert content["paths"] == {"root": "/here", "output": "/here/out"}
    assert content["callbacks"]["checkpoint"]["folder"] == "/here/out/checkpoints"


@pytest.mark.parametrize("expression", ["${oc.env:HOME}", "x/${now:%Y}", "${paths.root}"])
def test_what_depends_on_the_machine_or_the_moment_stays_as_written(expression: str) -> None:
    OmegaConf.register_new_resolver("now", lambda form: "2000", replace=True)
    assert canonical(tree(optimizer__where=expression))["optimizer"]["where"] == expression


def test_a_missing_value_is_a_fault() -> None:
    with pytest.raises(ConfigError, match=r"optimizer\.lr"):
        canonical(tree(optimizer__lr="???"))


def test_yaml_gives_the_same_content_back() -> None:
    content = canonical(tree())
    assert OmegaConf.to_container(OmegaConf.create(to_yaml(content)), resolve=False) == content
    assert to_yaml(content).startswith("seed: 1\noptimizer:\n")


def test_the_digest_is_that_of_the_content() -> None:
    assert digest(tree()) == digest(canonical(tree()))
    assert len(digest(tree())) == 64
    assert digest({"a": 1, "b": {"c": 0.1}}) == digest({"b": {"c": 0.1}, "a": 1})


@pytest.mark.parametrize(
    "change",
    [{"paths__root": "/there"}, {"check_only": True}, {"resume": "run"}, {"unused__a": 2}],
)
def test_the_digest_does_not_see_what_does_not_count(change: dict[str, Any]) -> None:
    assert digest(tree(**change)) == digest(tree())


@pytest.mark.parametrize(
    "change",
    [{"seed": 2}, {"optimizer__lr": 0.0010000000000000002}, {"keep": 3}, {"task__note": False}],
)
def test_the_digest_sees_what_counts(change: dict[str, Any]) -> None:
    assert digest(tree(**change)) != digest(tree())


def test_parameters_are_flat_and_scalar() -> None:
    assert flatten(canonical(tree())) == {
        "seed": 1,
        "optimizer._target_": "torch.optim.Adam",
        "optimizer.lr": 0.001,
        "optimizer.betas": "[0.9,0.999]",
        "callbacks.checkpoint.folder": "${paths.output}/checkpoints",
        "callbacks.checkpoint.keep": 2,
        "keep": 2,
        "task._target_": "digits.tasks.train.train",
        "task.seed": 1,
        "task.note": None,
    }


def test_empty_containers_keep_their_place() -> None:
    assert flatten({"a": {}, "b": [], "c": {"d": {}}}) == {"a": "{}", "b": "[]", "c.d": "{}"}
    assert flatten({}) == {}


def test_differences_name_each_key_once() -> None:
    old = canonical(tree())
    new = canonical(tree(optimizer__lr=0.01, seed=2, task__note=True, optimizer__eps=1e-8))
    assert differences(old, new) == [
        "seed: 1 -> 2",
        "optimizer.lr: 0.001 -> 0.01",
        "task.note: null -> true",
        "optimizer.eps: (absent) -> 1e-08",
    ]
    assert "optimizer.eps: 1e-08 -> (absent)" in differences(new, old)
    assert differences(old, old) == []


def test_true_is_not_one() -> None:
    assert differences({"a": 1}, {"a": True}) == ["a: 1 -> true"]
    assert digest({"a": 1}) != digest({"a": True})

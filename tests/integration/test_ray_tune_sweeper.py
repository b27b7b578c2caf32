"""Searches under Ray Tune as a user types them: whole processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.integration.sweeper_app.runner import (
    ASHA,
    INTERVAL,
    SCHEDULERS,
    App,
    findings,
    samples,
    scheduler,
    steps,
)

pytest.importorskip("ray.tune")
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

TPE = "hydra.sweeper.searcher={_target_:ray.tune.search.optuna.OptunaSearch}"


@pytest.fixture
def app(tmp_path: Path):
    """The application, with everything it writes below ``tmp_path``; nothing of it stays."""
    app = App(tmp_path)
    yield app
    app.kill_all()


def assert_each_step_done_once(app, numbers, last=6):
    for number in numbers:
        assert [each["step"] for each in app.done(number)] == list(range(1, last + 1)), number


def test_groups_with_spaces_of_their_own_make_one_leaderboard(app):
    done = app("model=a,b", "hydra.sweeper.default_space=model.space", samples(4), "epochs=3")
    assert done.returncode == 0, done.stdout
    trials = app.trials()
    assert [each["status"] for each in trials] == ["finished"] * 4
    assert [each["overrides"]["model"] for each in trials] == ["a", "b", "a", "b"]
    for trial in trials:
        swept = trial["overrides"]
        assert set(swept) == ({"model", "x"} if swept["model"] == "a" else {"model", "x", "y"})
        folder = app.folder / "sweep" / str(trial["number"])
        assert trial["folder"] == str(folder)
        hydra = {name: yaml.safe_load((folder / ".hydra" / name).read_text()) for name in FILES}
        texts = [f"{key}={value}" for key, value in swept.items()]
        assert hydra["overrides.yaml"] == ["epochs=3", *texts]
        assert hydra["config.yaml"]["x"] == float(swept["x"])
        assert hydra["config.yaml"]["model"]["name"] == swept["model"]
        assert hydra["hydra.yaml"]["hydra"]["job"]["num"] == trial["number"]
        assert (folder / "app.log").exists()
    best = yaml.safe_load((app.folder / "sweep" / "best.yaml").read_text())
    assert best["value"] == max(each["value"][0] for each in trials)
    again = app.type(best["command"])
    assert again.returncode == 0, again.stdout
    lines = (app.folder / "sweep" / "leaderboard.csv").read_text().splitlines()
    assert len(lines) == 5 and lines[1].split(",")[1] == str(best["job"])


FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")


def test_value_on_the_command_line_is_not_searched_over(app):
    done = app("model=b", "y=7", "hydra.sweeper.default_space=model.space", samples(1))
    assert done.returncode == 0, done.stdout
    assert set(app.trials()[0]["overrides"]) == {"x"}
    assert yaml.safe_load((app.folder / "sweep/0/.hydra/config.yaml").read_text())["y"] == 7


def test_successive_halving_stops_losers_and_lets_them_close(app):
    done = app(INTERVAL, scheduler(ASHA), samples(8), steps(6), "closing=1")
    assert done.returncode == 0, done.stdout
    trials = app.trials()
    for trial in trials:
        count = len(trial["steps"])
        assert [each["step"] for each in trial["steps"]] == list(range(1, count + 1))
        assert trial["status"] == ("finished" if count == 6 else "pruned")
        assert (Path(trial["folder"]) / "closed").exists()
    assert {"finished", "pruned"} == {each["status"] for each in trials}
    assert_each_step_done_once(app, [t["number"] for t in trials if t["status"] == "finished"])


@pytest.mark.parametrize(
    "target",
    [
        f"{SCHEDULERS}.HyperBandScheduler,reduction_factor:2",
        f"{SCHEDULERS}.MedianStoppingRule,grace_period:2,min_samples_required:2",
    ],
)
def test_scheduler_that_pauses_goes_on_from_checkpoints(app, target):
    command = [INTERVAL, scheduler(target), samples(6), steps(6)]
    done = app(*command)
    assert done.returncode == 0, done.stdout
    trials = app.trials()
    assert {each["status"] for each in trials} <= {"finished", "pruned"}
    assert any(each["status"] == "finished" for each in trials)
    for trial in trials:
        assert_each_step_done_once(app, [trial["number"]], last=len(trial["steps"]))
    again = app(*command)
    assert again.returncode == 0, again.stdout
    assert findings(app.trials()) == findings(trials), "the sweep was at its end"


def test_population_takes_over_better_trials_under_changed_values(app):
    target = f"{SCHEDULERS}.PopulationBasedTraining,perturbation_interval:2"
    done = app(INTERVAL, scheduler(target), samples(4), steps(8), "epochs=8", "sleep=0.2")
    assert done.returncode == 0, done.stdout
    trials = app.trials()
    assert [each["status"] for each in trials] == ["finished"] * 4
    for trial in trials:
        assert [each["step"] for each in trial["steps"]] == list(range(1, 9))
        assert 0 <= float(trial["overrides"]["x"]) <= 1
    done_steps = {number: app.done(number) for number in range(4)}
    changed = [n for n, each in done_steps.items() if len({step["x"] for step in each}) > 1]
    taken = [n for n, each in done_steps.items() if any(set(s["by"]) - {n} for s in each)]
    assert taken and set(taken) <= set(changed), "a trial took another's checkpoint over"
    assert sum(map(len, done_steps.values())) < 4 * 8 + 4 * 4, "without checkpoints it starts anew"


def test_estimator_goes_on_with_two_metrics(app):
    pytest.importorskip("optuna")
    command = [INTERVAL, TPE, "hydra.sweeper.metric=[acc,loss]", "hydra.sweeper.mode=[max,min]"]
    done = app(*command, samples(3), "epochs=2")
    assert done.returncode == 0, done.stdout
    first = findings(app.trials())
    done = app(*command, samples(5), "epochs=2")
    assert done.returncode == 0, done.stdout
    assert [each["number"] for each in app.trials()] == list(range(5))
    assert findings(app.trials())[:3] == first
    best = yaml.safe_load((app.folder / "sweep" / "best.yaml").read_text())
    assert best["pareto"] and all(len(each["value"]) == 2 for each in best["pareto"])


def test_estimator_under_halving_learns_of_every_trial(app):
    pytest.importorskip("optuna")
    done = app(INTERVAL, "y=choice(1,2)", TPE, scheduler(ASHA), samples(6), steps(4), "epochs=4")
    assert done.returncode == 0, done.stdout
    assert [each["number"] for each in app.trials()] == list(range(6))
    assert {each["status"] for each in app.trials()} <= {"finished", "pruned"}
    assert all(each["overrides"]["y"] in ("1", "2") for each in app.trials())


def test_configuration_may_lie_beside_the_outputs(app):
    text = app.script.read_text().replace('config_path="conf"', 'config_path="."')
    app.script = app.folder / "app.py"
    app.script.write_text(text)
    conf = Path(__file__).parent / "sweeper_app" / "conf"
    text = (conf / "config.yaml").read_text().split("model: a\n")[1]
    (app.folder / "config.yaml").write_text(text)
    done = app("x=0.1,0.2")
    assert done.returncode == 0, done.stdout

"""The main job from the command line to the registry, undisturbed and disturbed."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import mlflow
import numpy as np
import pytest

from digits.contract.manifest import verify
from digits.data.uci import Uci
from tests.e2e.conftest import Done, Program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CHECKPOINT = "outputs/runs/*/*/checkpoints/last.ckpt"
QUICK = ["model=tiny", "trainer.max_epochs=3"]


@pytest.fixture(scope="module")
def done(shared_program: Program) -> Done:
    finished = shared_program(*QUICK)
    assert finished.returncode == 0, finished.stderr
    return finished


def _wait_for(pattern: str, folder: Path, process: subprocess.Popen[str]) -> Path:
    for _ in range(1200):
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
        assert process.poll() is None, process.stdout and process.stdout.read()
        time.sleep(0.1)
    pytest.fail(f"{pattern} did not appear")


def _kill_in_training(program: Program, *overrides: str) -> Path:
    """Kill -9 after the first checkpoint, and return the run folder."""
    with program.start(*overrides) as process:
        checkpoint = _wait_for(CHECKPOINT, program.folder, process)
        process.send_signal(signal.SIGKILL)
    return checkpoint.parents[1]


def test_summary_names_result_pictures_version_and_next_commands(done: Done) -> None:
    for words in (
        "accuracy",
        "95 % interval",
        "calibration error",
        "images/s",
        "digits version 1 (challenger)",
        "figures",
        "data=mnist",
    ):
        assert words in done.stdout


def test_output_off_a_terminal_is_plain_lines(done: Done) -> None:
    assert "\x1b" not in done.stdout + done.stderr
    assert "epoch 3/3" in done.stdout + done.stderr


def test_run_is_finished_and_complete(shared_program: Program, done: Done) -> None:
    (run,) = shared_program.runs()
    client = shared_program.client()
    assert run.info.status == "FINISHED"
    assert run.data.params["model._target_"] == "digits.models.networks.Tiny"
    assert len(run.data.tags["digits.config_digest"]) == 64
    assert run.data.tags["digits.data_digest"] == Uci().load().digest
    assert run.data.tags["mlflow.source.git.commit"]
    assert run.inputs.dataset_inputs[0].dataset.digest == run.data.tags["digits.data_digest"][:36]
    history = client.get_metric_history(run.info.run_id, "validation/accuracy")
    assert [metric.step for metric in history] == [1, 2, 3]
    assert any(name.startswith("system/") for name in run.data.metrics)

    def artifacts(folder: str = "") -> set[str]:
        return {entry.path for entry in client.list_artifacts(run.info.run_id, folder)}

    assert {"config.yaml", "figures", "bundle", "checkpoints"} <= artifacts()
    assert artifacts("figures") == {
        f"figures/{name}.png" for name in ("curves", "confusion_matrix", "worst_mistakes")
    }


def test_version_is_a_verified_bundle_that_mlflow_can_load(
    shared_program: Program, done: Done
) -> None:
    client = shared_program.client()
    version = client.get_model_version_by_alias("digits", "challenger")
    (run,) = shared_program.runs()
    assert version.run_id == run.info.run_id
    folder = Path(client.download_artifacts(run.info.run_id, "bundle"))
    manifest = verify(folder)
    assert version.tags["onnx_sha256"] == manifest.files["model.onnx"]
    assert version.tags["weights_sha256"] == manifest.files["weights.safetensors"]
    mlflow.set_tracking_uri(client.tracking_uri)
    model = mlflow.pyfunc.load_model("models:/digits@challenger")
    test = Uci().load().test
    logits = model.predict({"pixels": test.images})["logits"]
    accuracy = float((np.argmax(logits, 1) == test.labels).mean())
    assert accuracy == pytest.approx(run.data.metrics["test/accuracy"])
    assert model.metadata.signature is not None


def test_killed_training_resumes_in_the_same_run_as_if_undisturbed(
    program: Program, tmp_path_factory: pytest.TempPathFactory
) -> None:
    typed = ["model=tiny", "trainer.max_epochs=40"]
    undisturbed = Program(tmp_path_factory.mktemp("undisturbed"))
    assert undisturbed(*typed).returncode == 0
    whole = undisturbed.runs()[0].data.metrics

    _kill_in_training(program, *typed)
    (killed,) = program.runs()
    assert killed.info.status == "RUNNING"

    resumed = program(f"resume={killed.info.run_id}")
    assert resumed.returncode == 0, resumed.stderr
    (run,) = program.runs()
    assert run.info.run_id == killed.info.run_id
    assert run.info.status == "FINISHED"
    history = program.client().get_metric_history(run.info.run_id, "train/loss")
    assert {metric.step for metric in history} == set(range(1, 41))
    assert run.data.metrics["test/loss"] == pytest.approx(whole["test/loss"], abs=1e-9)

    for name in (run.info.run_id, run.data.tags["digits.folder"]):
        again = program(f"resume={name}")
        assert again.returncode == 2
        assert "finished" in again.stderr


def test_resume_under_another_configuration_is_refused(program: Program) -> None:
    folder = _kill_in_training(program, "model=tiny", "trainer.max_epochs=500")
    refused = program(f"resume={folder}", "optimizer.lr=0.5")
    assert refused.returncode == 2
    assert "optimizer.lr" in refused.stderr
    assert "0.5" in refused.stderr
    unknown = program("resume=0123456789abcdef")
    assert unknown.returncode == 2
    assert "resume: 0123456789abcdef" in unknown.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_run_is_killed_and_says_how_to_go_on(
    program: Program, number: signal.Signals, code: int
) -> None:
    with program.start("model=tiny", "trainer.max_epochs=40") as process:
        _wait_for(CHECKPOINT, program.folder, process)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    (run,) = program.runs()
    assert run.info.status == "KILLED"
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if "Go on with: " in line]
    resumed = program.type(line.partition("Go on with: ")[2])
    assert resumed.returncode == 0, resumed.stderr
    (run,) = program.runs()
    assert run.info.status == "FINISHED"


def test_failed_run_is_failed_and_registers_nothing(program: Program) -> None:
    images = program.folder / "images"
    (images / "7").mkdir(parents=True)
    (images / "7" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    failed = program("data=folder", f"data.root={images}", *QUICK)
    assert failed.returncode == 1
    assert "broken.png" in failed.stderr
    assert "Traceback" not in failed.stderr
    (run,) = program.runs()
    assert run.info.status == "FAILED"
    assert "broken.png" in run.data.tags["digits.error"]
    assert program.client().search_model_versions() == []


def test_several_first_runs_at_once_share_one_new_store(program: Program) -> None:
    typed = [*QUICK, "trainer=debug"]
    processes = [program.start(*typed, f"seed={seed}") for seed in range(3)]
    outputs = [process.communicate(timeout=240)[0] for process in processes]  # closes the pipes
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert [run.info.status for run in program.runs()] == ["FINISHED"] * 3
    assert len(program.client().search_model_versions("name='digits'")) == 3


@pytest.mark.parametrize(
    ("overrides", "code", "words"),
    [
        (["optimizer.lr=-1"], 2, "optimizer.lr"),
        (["optimizer.lr=ten"], 2, "optimizer.lr"),
        (["+no_such_key=1"], 2, "no_such_key"),
        (["trainer.accelerator=abacus"], 2, "trainer"),
        (["data=mnist", "data.root=nowhere"], 1, "nowhere"),
        (["tracking=server", "tracking.uri=http://127.0.0.1:9"], 1, "tracking.uri"),
        (["tracking.uri=postgresql://digits:secret@127.0.0.1:9/digits"], 1, "tracking.uri"),
        (["paths.root=/proc/digits"], 1, "paths.root"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_clear_message(
    program: Program, overrides: list[str], code: int, words: str
) -> None:
    done = program(*QUICK, *overrides)
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    assert words in output
    assert "Traceback" not in output
    assert "secret" not in output
    assert not list(program.folder.rglob("bundle"))


def test_multirun_runs_every_job_and_a_failing_one_fails_the_whole(program: Program) -> None:
    typed = ["trainer=debug", "model=linear,tiny", "-m"]
    assert program(*typed).returncode == 0
    jobs = [run for run in program.runs() if "digits.job" in run.data.tags]
    models = {run.data.params["model._target_"].rsplit(".")[-1] for run in jobs}
    assert models == {"Linear", "Tiny"}
    failed = program("trainer=debug", "data=folder", "data.root=nowhere,there", "-m")
    assert failed.returncode == 1
    assert "nowhere" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_metrics_file_holds_the_final_metrics(shared_program: Program, done: Done) -> None:
    (file,) = (shared_program.folder / "outputs").glob("runs/*/*/metrics.json")
    metrics = json.loads(file.read_text(encoding="utf-8"))
    (run,) = shared_program.runs()
    assert metrics["test/accuracy"] == pytest.approx(run.data.metrics["test/accuracy"])

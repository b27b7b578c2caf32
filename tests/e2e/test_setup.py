"""scripts/bootstrap on a copy of the repository, in a folder with spaces in its name."""

from __future__ import annotations

import http.server
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.setup, pytest.mark.e2e, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
# The least that the package build, the scripts and the imports below need.
COPIED = ("pyproject.toml", "requirements.lock", "scripts", "digits")


def copy_of_the_tree(parent: Path) -> Path:
    tree = parent / "a fresh clone"
    tree.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, tree / name)
    return tree


def bootstrap(
    tree: Path, *extras: str, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(tree / "scripts" / "bootstrap"), *extras],
        cwd=cwd or tree,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def packages(tree: Path) -> set[str]:
    folders = (tree / ".venv").glob("lib/python*/site-packages/*.dist-info")
    return {folder.name.partition("-")[0].lower() for folder in folders}


def replace_uv(tree: Path, script: str) -> Path:
    """Put a shell script in uv's place; ``$real`` is uv. Returns the log that it may write."""
    uv = tree / ".venv" / "bin" / "uv"
    real = uv.with_name("uv-real")
    if not real.exists():
        uv.rename(real)
    log = tree / "uv.log"
    log.unlink(missing_ok=True)
    uv.write_text(f'#!/bin/sh\nreal="{real}"\nlog="{log}"\n{script}\n')
    uv.chmod(0o755)
    return log


@contextmanager
def recording_index() -> Iterator[tuple[str, list[str]]]:
    """A package index on the loopback that has nothing, and keeps the paths asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree with the base libraries installed; the tests below only add to it."""
    tree = copy_of_the_tree(tmp_path_factory.mktemp("set up"))
    done = bootstrap(tree)
    assert done.returncode == 0, done.stderr
    return tree


@pytest.fixture
def tree(installed: Path) -> Iterator[Path]:
    """The installed tree, with uv put back in its place afterwards."""
    yield installed
    real = installed / ".venv" / "bin" / "uv-real"
    if real.exists():
        real.replace(real.with_name("uv"))


def test_base_has_what_the_cheap_commands_need_and_not_torch(tree: Path) -> None:
    assert {"hydra_core", "pydantic", "rich", "digits"} <= packages(tree)
    assert "torch" not in packages(tree)


def test_second_time_starts_neither_uv_nor_python(tree: Path, tmp_path: Path) -> None:
    log = replace_uv(tree, 'echo started >>"$log"; exec "$real" "$@"')
    python = tree / ".venv" / "bin" / "python"
    target = python.readlink()
    python.unlink()
    python.write_text(f'#!/bin/sh\necho started >>"{log}"\n')
    python.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(tree / "scripts" / "bootstrap")
    try:
        done = subprocess.run(
            [str(link)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    finally:
        python.unlink()
        python.symlink_to(target)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not log.exists()


def test_extras_add_and_never_remove(tree: Path) -> None:
    before = packages(tree)
    assert bootstrap(tree, "aws").returncode == 0
    with_aws = packages(tree)
    assert with_aws > before
    assert "boto3" in with_aws
    assert bootstrap(tree).returncode == 0
    assert packages(tree) == with_aws


def test_changed_lock_is_installed_with_all_recorded_extras(tree: Path) -> None:
    assert bootstrap(tree, "aws").returncode == 0
    log = replace_uv(tree, 'echo "$@" >>"$log"; exec "$real" "$@"')
    with (tree / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert bootstrap(tree).returncode == 0
    assert ".[aws]" in log.read_text()


def test_unknown_extra_names_those_that_exist(tree: Path) -> None:
    done = bootstrap(tree, "trian")
    assert done.returncode == 1
    assert "no extra 'trian'" in done.stderr
    assert "train tune serve" in done.stderr


def test_pip_settings_reach_uv_and_a_failure_keeps_what_was_there(tree: Path) -> None:
    with recording_index() as (address, asked):
        done = bootstrap(
            tree,
            "explain",
            PIP_INDEX_URL=address,
            PIP_EXTRA_INDEX_URL="",
            PIP_FIND_LINKS="",
            PIP_CONFIG_FILE=os.devnull,
            UV_CACHE_DIR=str(tree / "empty cache"),
        )
    assert done.returncode == 1
    assert any(path.startswith("/simple/captum") for path in asked)
    assert "captum" in done.stderr
    assert "Start the same command again" in done.stderr
    log = replace_uv(tree, 'echo started >>"$log"; exec "$real" "$@"')
    assert bootstrap(tree).returncode == 0
    assert not log.exists()


def test_set_up_killed_while_writing_packages_is_completed(tree: Path) -> None:
    site = next((tree / ".venv").glob("lib/python*/site-packages"))
    log = replace_uv(
        tree,
        'case "$*" in *--version* | *--dry-run*) exec "$real" "$@" ;; esac\n'
        f'rm "{site}/omegaconf/__init__.py"; touch "{site}"; echo "$$" >"$log"; sleep 60',
    )
    (tree / ".venv" / ".digits-installed").unlink()
    process = subprocess.Popen(
        [str(tree / "scripts" / "bootstrap")], start_new_session=True, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (tree / ".venv" / "bin" / "uv-real").replace(tree / ".venv" / "bin" / "uv")
    done = bootstrap(tree)
    assert done.returncode == 0, done.stderr
    assert (site / "omegaconf" / "__init__.py").exists()


def test_two_at_once_both_succeed(tree: Path) -> None:
    (tree / ".venv" / ".digits-installed").unlink()
    both = [
        subprocess.Popen([str(tree / "scripts" / "bootstrap")], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    messages = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], messages
    if shutil.which("flock"):
        assert sum("installing the libraries" in message for message in messages) == 1


def test_moved_tree_is_set_up_for_its_new_place(tree: Path) -> None:
    moved = tree.with_name("moved")
    tree.rename(moved)
    try:
        assert bootstrap(moved).returncode == 0
        where = subprocess.run(
            [str(moved / ".venv/bin/python"), "-c", "import digits; print(digits.__file__)"],
            cwd=moved.parent,
            capture_output=True,
            text=True,
            check=True,
        )
        assert Path(where.stdout.strip()).is_relative_to(moved)
    finally:
        moved.rename(tree)


def old_python(folder: Path, *names: str) -> Path:
    """Programs that answer as Python 3.9 does, the only ones of these names on the PATH."""
    folder.mkdir()
    for name in names:
        program = folder / name
        program.write_text('#!/bin/sh\ncase "$2" in *version_info*) exit 1 ;; esac\necho 3.9.2\n')
        program.chmod(0o755)
    return folder


def test_python_too_old_is_said_with_what_to_do(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    names = ("python3.13", "python3.12", "python3.11", "python3", "python")
    path = f"{old_python(tmp_path / 'bin', *names)}{os.pathsep}{os.environ['PATH']}"
    done = bootstrap(tree, PATH=path)
    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13 is needed; found: " in done.stderr
    for name in names:
        assert f" {name} (3.9.2)" in done.stderr
    assert "PYTHON=" in done.stderr
    assert not (tree / ".venv").exists()


def test_python_named_by_the_user_is_the_only_one_tried(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    named = old_python(tmp_path / "bin", "python") / "python"
    done = bootstrap(tree, PYTHON=str(named))
    assert done.returncode == 1
    assert f"found: {named} (3.9.2)." in done.stderr


def test_environment_of_another_python_is_not_removed(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    (tree / ".venv").mkdir()
    (tree / ".venv" / "pyvenv.cfg").touch()
    old_python(tree / ".venv" / "bin", "python")
    done = bootstrap(tree)
    assert done.returncode == 1
    assert ".venv holds Python 3.9.2" in done.stderr
    assert (tree / ".venv" / "bin" / "python").exists()


def test_folder_that_is_no_environment_is_not_touched(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    (tree / ".venv").mkdir()
    (tree / ".venv" / "notes.txt").write_text("mine")
    done = bootstrap(tree)
    assert done.returncode == 1
    assert "is not a Python environment" in done.stderr
    assert (tree / ".venv" / "notes.txt").read_text() == "mine"


def test_environment_whose_python_is_gone_is_made_anew(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    (tree / ".venv" / "bin").mkdir(parents=True)
    (tree / ".venv" / "pyvenv.cfg").touch()
    (tree / ".venv" / "bin" / "python").symlink_to(tmp_path / "gone")
    done = bootstrap(tree)
    assert done.returncode == 0, done.stderr
    assert "making it anew" in done.stderr
    assert "hydra_core" in packages(tree)

"""`task=deploy deployment=local` as it is typed: applied, moved, asked, rolled back, destroyed."""

from __future__ import annotations

import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from digits.deployment.service import State, is_running, state
from digits.promotion import champion
from digits.registry.versions import Version
from tests.e2e.conftest import Done, Program
from tests.e2e.serving import Load, Models, Service, children, is_alive, kill, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


class Deployed:
    """A deployment below a program's outputs."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.folder = program.folder / "outputs" / "deployments" / "local"

    def __call__(self, action: str, *overrides: str) -> Done:
        """Do one thing with it."""
        return self.program("task=deploy", f"action={action}", "watch_seconds=0.2", *overrides)

    @property
    def state(self) -> State:
        """Where it runs."""
        found = state(self.folder)
        assert found is not None
        return found

    @property
    def service(self) -> Service:
        """How to ask it."""
        return Service(self.state.address)


@pytest.fixture
def deployed(program: Program) -> Iterator[Deployed]:
    """Nothing yet; ended in the end, whatever happened."""
    deployed = Deployed(program)
    yield deployed
    found = state(deployed.folder)
    if found is not None:
        kill(found.pid)
        until(lambda: not is_alive(found.pid))


def line(done: Done, name: str) -> str:
    """Return what a screen says of one thing."""
    (found,) = re.findall(rf"^{name} +(.*?) *$", done.stdout, re.M)
    return str(found)


def test_life_of_a_deployment(program: Program, deployed: Deployed) -> None:
    models = Models(program)
    for _ in range(3):
        models.add()
    for number, over in ((1, None), (2, 1)):
        champion.promote(models.client, Version("digits", number), over=over)

    nothing = deployed("status")
    assert nothing.returncode == 1 and "action=apply starts it" in nothing.stderr
    planned = deployed("plan", "serving.port=0")
    assert line(planned, "would").startswith("create service"), planned.stderr
    assert not deployed.folder.exists()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = deployed("apply", f"serving.port={port}", "serving.workers=2")
    assert line(started, "done").startswith("create service"), started.stderr
    assert deployed.folder.stat().st_mode & 0o77 == 0
    first = deployed.state
    assert deployed.service.version() == "digits/2"

    invoked = deployed("invoke")
    assert re.fullmatch(r"\d", line(invoked, "digit").split()[0])
    assert line(invoked, "model") == "digits/2"
    with Load(deployed.service, clients=2) as load:
        other = deployed("rollback", "registry.name=other")
        assert other.returncode == 2 and "type registry.name=digits" in other.stderr
        back = deployed("rollback")
        assert line(back, "done") == "digits/1 is the champion again", back.stderr
        assert deployed.service.version() == "digits/1"
        pinned = deployed("apply", f"serving.port={port}", "serving.workers=2", "version=3")
        assert line(pinned, "done").startswith("change model"), pinned.stderr
        until(lambda: load.versions["digits/3"] > 50)
    assert load.failures == []
    assert deployed.state == first
    until(lambda: not any("watcher" in each for each in children(first.pid).values()))

    same = deployed("apply", f"serving.port={port}", "serving.workers=2", "version=3")
    assert line(same, "done") == "keep service: it runs as ordered"
    anew = deployed("apply", f"serving.port={port}", "version=3")
    assert line(anew, "done").startswith("change service"), anew.stderr
    assert deployed.state.pid != first.pid and not is_alive(first.pid)
    assert deployed.state.address == first.address

    tags = models.client.get_model_version("digits", "3").tags
    assert tags["deployment.local"].startswith(deployed.state.address)
    earlier = deployed("apply", f"serving.port={port}", "version=1")
    assert line(earlier, "done").startswith("change model"), earlier.stderr
    back = deployed("rollback")
    assert line(back, "done") == "change model: digits/3 answers again", back.stderr
    until(lambda: deployed.service.version() == "digits/3")
    assert "deployment.local" not in models.client.get_model_version("digits", "1").tags

    ended = deployed("destroy")
    assert line(ended, "done").startswith("remove service"), ended.stderr
    assert not deployed.folder.exists()
    assert "deployment.local" not in models.client.get_model_version("digits", "3").tags
    assert line(deployed("destroy"), "done") == "there was nothing"
    with closing(sqlite3.connect(program.folder / "outputs" / "traffic.db")) as traffic:
        noted = traffic.execute("SELECT kind, version FROM deployments ORDER BY started").fetchall()
    assert [each for each in noted if each[0] != "local"] == []
    assert [version for _, version in noted] == ["digits/2", "digits/3"]


def test_killed_deployment_is_seen_as_such_and_started_again(
    program: Program, deployed: Deployed
) -> None:
    models = Models(program)
    models.add()
    models.crown(1)
    assert deployed("apply", "serving.port=0").returncode == 0
    left = [deployed.state.pid, *children(deployed.state.pid)]
    kill(left[0])
    until(lambda: not any(map(is_alive, left)))
    assert not is_running(deployed.folder)
    assert deployed("status").returncode == 1
    again = deployed("apply", "serving.port=0")
    assert line(again, "done").startswith("create service"), again.stderr
    assert deployed.service.version() == "digits/1"


def test_what_cannot_be_deployed_leaves_nothing(program: Program, deployed: Deployed) -> None:
    models = Models(program)
    bundle = models.add()
    (bundle / "model.onnx").unlink()
    refused = deployed("apply", "serving.port=0", f"version={bundle}")
    assert refused.returncode == 1 and "model.onnx is missing" in refused.stderr
    models.add()
    models.crown(2)
    done = deployed("apply", "serving.port=0", "serving.host=198.51.100.1")  # nobody's address
    assert done.returncode == 2 and "serving.host" in done.stderr
    assert not deployed.folder.exists()

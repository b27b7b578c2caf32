"""The images themselves: how large, how soon ready, what is in them, how others start them."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import pytest

from digits.deployment import containers, images
from digits.deployment.engine import Engine
from scripts.bill_of_materials import write_bill
from tests.e2e.deployment.conformance import ONE
from tests.e2e.deployment.engine import engine, wait

__all__ = ["engine"]  # a fixture

pytestmark = [pytest.mark.service, pytest.mark.timeout(280)]

MB = 1000 * 1000


def test_image_is_small_and_ready_soon(engine: Engine, bundles: tuple[Path, Path]) -> None:
    found = engine.inspect("image", images.tag_of())
    assert found is not None
    layers = engine.run("history", "--format", "{{.Size}}", "--human=false", images.tag_of())
    # The oldest layer is the base.
    own = sum(int(each) for each in layers.splitlines()[:-1])
    assert own <= 260 * MB
    # Processor time: what passes on the clock depends on what else the machine does.
    run = ("run", "--rm", "--read-only", "--cap-drop=ALL", "--tmpfs=/tmp", "--network=none")
    mount = f"--volume={bundles[0]}:/opt/ml/model:ro"
    program = (
        "import asyncio, os, time; from serving.app import Service, create_app; "
        "from serving.container import settings_of; from pathlib import Path; "
        "import serving.__main__; service = Service(settings_of(os.environ, Path('/tmp'))); "
        "service.current.start(); print(time.process_time())"
    )
    seconds = float(engine.run(*run, mount, images.tag_of(), "python", "-c", program))
    assert seconds < 1.5


def test_bill_of_materials_says_what_is_in_the_image(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "service.cdx.json"
    write_bill(engine, images.tag_of(), file, images.ROOT)
    bill = json.loads(file.read_text())
    urls = [each["purl"] for each in bill["components"]]
    assert bill["bomFormat"] == "CycloneDX" and bill["specVersion"] == "1.6"
    assert bill["metadata"]["component"]["version"] == engine.image_id(images.tag_of())
    for name in ("pypi/onnxruntime@", "pypi/fastapi@", "pypi/digits@", "deb/debian/libc6@"):
        assert any(url.startswith(f"pkg:{name}") for url in urls), name
    assert not [url for url in urls if "pypi/torch" in url or "pypi/mlflow" in url]


def test_as_sagemaker_starts_it(engine: Engine, bundles: tuple[Path, Path]) -> None:
    images.build(engine, "sagemaker")
    name = f"digits-test-{os.getpid()}-sagemaker"
    hardened = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--user=10002:10002")
    mount = f"--volume={bundles[0]}:/opt/ml/model:ro"
    published = ("--publish", "127.0.0.1::8080")
    image = images.tag_of("sagemaker")
    engine.run("run", "--detach", f"--name={name}", *hardened, *published, mount, image, "serve")
    try:
        port = engine.run("port", name, "8080/tcp").splitlines()[0].rpartition(":")[2]

        def answer(path: str, body: bytes | None = None) -> bytes:
            kind = {"Content-Type": "application/octet-stream"}
            asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, kind)
            with urllib.request.urlopen(asked, timeout=5) as got:
                return bytes(got.read())

        wait(lambda: answer("/ping") is not None)
        assert "digit" in json.loads(answer("/invocations", ONE))
    finally:
        containers.remove(engine, name)

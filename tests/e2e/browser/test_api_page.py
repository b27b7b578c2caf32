"""The page about the API: what it tells people to type works as it stands there."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

import serving.pages
from digits.contract.preprocessing import Preprocessing
from tests.e2e.browser.conftest import Open, Service
from tests.e2e.browser.hand import photograph

pytestmark = [pytest.mark.browser, pytest.mark.mnist, pytest.mark.timeout(600)]

TEXT = html.unescape((serving.pages.PAGE / "api.html").read_text(encoding="utf-8"))
COMMANDS = re.findall(r"^(?:<pre[^>]*><code>)?(curl .*?)(?:</code></pre>)?$", TEXT, re.MULTILINE)


def _type(command: str, folder: Path, address: str) -> Any:
    done = subprocess.run(
        ["bash", "-c", f"set -e; URL={address}; {command} --silent --show-error"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert "error" not in answer, (command, answer)
    return answer


def test_every_command_works(service: Service, tmp_path: Path) -> None:
    photograph(7, 0).save(tmp_path / "digit.png")
    photograph(3, 1).save(tmp_path / "one.jpg")
    photograph(0, 2).save(tmp_path / "two.jpg")
    seen = Preprocessing()(np.asarray(photograph(7, 0)))
    (tmp_path / "784.bytes").write_bytes(seen.tobytes())
    png, form, octets, text, why, correction, model = COMMANDS
    first = _type(png, tmp_path, service.address)
    assert first["digit"] == 7
    told = re.search(r'\{"id".*?\}', TEXT, re.DOTALL)
    assert told is not None
    assert set(re.findall(r'"(\w+)":', told[0])) == set(first)
    assert [each["digit"] for each in _type(form, tmp_path, service.address)["predictions"]] == [
        3, 0,
    ]  # fmt: skip
    assert _type(octets, tmp_path, service.address)["digit"] == 7
    picture = subprocess.run(
        ["base64", "-w0", str(tmp_path / "one.jpg")], capture_output=True, text=True, check=True
    ).stdout
    (tmp_path / "body.json").write_text(json.dumps({"image": picture}))
    written = re.sub(r"-d '.*'", "-d @body.json", text)
    assert written != text and _type(written, tmp_path, service.address)["digit"] == 3
    explained = _type(why, tmp_path, service.address)
    assert explained["target"] == 7 and len(explained["nearest"]) == 5
    corrected = _type(correction.replace("…", first["id"]), tmp_path, service.address)
    assert corrected == {"stored": True, "id": first["id"]}
    assert _type(model, tmp_path, service.address)["version"] == first["version"]


def test_the_two_pages_lead_to_each_other(visit: Open, service: Service) -> None:
    page: Page = visit(service.address)
    page.get_by_role("link", name="API").click()
    page.wait_for_url("**/page/api.html")
    assert page.get_by_role("heading", name="Read a digit").is_visible()
    page.get_by_role("link", name="Write a digit").click()
    page.wait_for_selector("#about:visible")

"""scripts/image: what of pip's settings reaches a build, and what its bill of materials refuses."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cyclonedx", reason="scripts/bootstrap dev")

from scripts.bill_of_materials import as_cyclonedx, invalid, locked, unlocked
from scripts.build_image import settings_inside

ROOT = Path(__file__).parents[2]
LOCK = "numpy==2.4.6\n    # via digits\nMarkupSafe==3.0.4 ; python_version < '4'\n"


def test_certificates_indexes_and_wheels_come_in_and_folders_stay_out(tmp_path):
    certificates, wheels = tmp_path / "ca.pem", tmp_path / "wheels"
    certificates.write_text("x")
    wheels.mkdir()
    (wheels / "a-1-py3-none-any.whl").touch()
    settings = {
        "cert": str(certificates),
        "index-url": "https://mirror.example/simple",
        "extra-index-url": "file:///here/simple https://more.example/simple",
        "find-links": f"/nowhere {wheels}",
    }
    with settings_inside(settings) as inside:
        told = inside.secrets["pip_conf"].read_text().splitlines()
        assert inside.secrets["pip_cert"] == certificates
        assert inside.wheels == wheels
    assert told == [
        "[global]",
        "index-url = https://mirror.example/simple",
        "extra-index-url = https://more.example/simple",
        "cert = /run/secrets/pip_cert",
    ]
    assert not inside.secrets["pip_conf"].exists()


def test_without_settings_nothing_is_told():
    with settings_inside({"cert": "/nowhere", "index-url": "file:///here"}) as inside:
        assert inside.secrets["pip_conf"].read_text() == "[global]\n"
        assert set(inside.secrets) == {"pip_conf"} and inside.wheels is None


def test_bill_is_valid_and_names_everything():
    listed = {"python": [["numpy", "2.4.6"]], "debian": [["libc6", "2.36-9+deb12u14", "amd64"]]}
    text = as_cyclonedx("digits-service", "sha256:1", listed)
    assert invalid(text) == []
    assert '"pkg:pypi/numpy@2.4.6"' in text
    assert '"pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64"' in text
    assert invalid(text.replace('"CycloneDX"', '"Other"'))


@pytest.mark.parametrize(
    ("package", "told"),
    [
        (["numpy", "2.4.5"], "not what requirements.lock has"),
        (["unknown", "1"], "not what requirements.lock has"),
        (["torch", "2.13.0"], "no place in it"),
    ],
)
def test_what_is_not_in_the_lock_is_refused(package, told):
    assert unlocked([["markupsafe", "3.0.4"], ["numpy", "2.4.6"]], locked(LOCK)) == []
    (fault,) = unlocked([package], locked(LOCK))
    assert told in fault


@pytest.fixture
def install():
    """What a Dockerfile runs to fill an environment."""
    spec = importlib.util.spec_from_file_location("install", ROOT / "docker" / "install.py")
    assert spec is not None and spec.loader is not None
    install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(install)
    return install


def test_tests_are_removed_and_what_is_only_called_so_is_not(install, tmp_path):
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    for file in (
        "numbers/tests/test_sums.py",
        "numbers/deep/tests/conftest.py",
        "drift/tests/ks.py",
    ):
        (packages / file).parent.mkdir(parents=True)
        (packages / file).touch()
    install.remove_tests(str(tmp_path / "bin" / "python"))
    assert [str(each.relative_to(packages)) for each in packages.rglob("*.py")] == [
        "drift/tests/ks.py"
    ]


def test_extras_are_taken_from_the_project_and_names_as_they_are(install):
    wanted = install.wanted(["serve", "awslambdaric"], ROOT / "pyproject.toml")
    assert wanted[-1] == "awslambdaric"
    assert any(each.startswith("fastapi") for each in wanted)


def test_an_unknown_target_is_refused_before_anything_is_built():
    command = [sys.executable, "-P", "-m", "scripts.build_image", "servise"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 2
    assert "no target servise; there are service, sagemaker, lambda" in ended.stderr

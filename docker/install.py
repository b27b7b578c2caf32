"""Install extras of pyproject.toml, or packages by name, in the versions of requirements.lock.

    python install.py [--from-source] PIP_PYTHON INTO_PYTHON NAME ...

``base`` is what every extra stands on. With ``--from-source`` packages without a wheel are built.
Runs while an image is built, with the standard library alone. Digits itself is not installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path


def wanted(names: list[str], project: Path) -> list[str]:
    """Return requirements: those of the extra where a name is one, else the name itself."""
    described = tomllib.loads(project.read_text("utf-8"))["project"]
    extras = described["optional-dependencies"] | {"base": described["dependencies"]}
    return [each for name in names for each in extras.get(name, [name])]


def remove_tests(python: str) -> None:
    """Remove the libraries' own tests: nobody runs them there, and they are a tenth of it all.

    A package called tests may also be what a library offers: Evidently's holds no test of its own.
    """
    for folder in list(Path(python).parents[1].glob("lib/python3.*/site-packages/**/tests")):
        if any(folder.glob("test_*.py")) or (folder / "conftest.py").is_file():
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    given = sys.argv[1:]
    built = given[0] == "--from-source"
    pip, into, *names = given[built:]
    here = Path(__file__).parent
    command = [pip, "-m", "pip", "--python", into, "install", "--disable-pip-version-check"]
    options = ["--constraint", str(here / "requirements.lock")]
    options += [] if built else ["--only-binary", ":all:"]
    requirements = wanted(names, here / "pyproject.toml")
    subprocess.run([*command, *options, *requirements], check=True)
    remove_tests(into)

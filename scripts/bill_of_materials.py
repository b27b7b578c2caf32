"""The software bill of materials of an image, CycloneDX 1.6: written from the image and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from digits.contract.files import write_atomically
from digits.deployment.engine import Engine
from digits.errors import DeploymentError

# Runs inside the image, with its own Python: what is there, not what was meant to be.
LISTING = r"""
import importlib.metadata, json, pathlib, re, sys
found = importlib.metadata.distributions()
python = sorted({(each.metadata["Name"], each.version) for each in found})
status = pathlib.Path("/var/lib/dpkg/status")
field = lambda name, text: re.search(rf"^{name}: (\S+)", text, re.MULTILINE).group(1)
blocks = status.read_text(errors="replace").split("\n\n") if status.exists() else []
debian = [
    (field("Package", each), field("Version", each), field("Architecture", each))
    for each in blocks if "\nStatus: install ok installed\n" in f"{each}\n"
]
print(json.dumps({"python": python, "debian": debian}))
"""
NEVER = ("torch", "mlflow", "feast", "ray", "pip")  # in an image that only answers


def write_bill(
    engine: Engine, image: str, file: Path, root: Path, never: Sequence[str] = NEVER
) -> str:
    """Write the bill of ``image`` to ``file`` and return one line about it.

    Raises:
        DeploymentError: it is no valid CycloneDX; or a package is there that is among ``never``,
            or that requirements.lock does not have, or in another version.
    """
    listed = json.loads(
        engine.run(
            *("run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL"),
            *("--entrypoint=python", image, "-c", LISTING),
        )
    )
    text = as_cyclonedx(image, engine.image_id(image) or "", listed)
    lock = locked((root / "requirements.lock").read_text(encoding="utf-8"))
    faults = [*invalid(text), *unlocked(listed["python"], lock, never)]
    if faults:
        raise DeploymentError(f"The bill of materials of {image} has faults: {'; '.join(faults)}")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, text)
    python, debian = len(listed["python"]), len(listed["debian"])
    return f"{python} Python and {debian} Debian packages in {file}"


def as_cyclonedx(image: str, digest: str, listed: dict[str, Any]) -> str:
    """Return the bill as JSON."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    bom = Bom()
    bom.metadata.component = Component(
        name=image, version=digest, type=ComponentType.CONTAINER, bom_ref="image"
    )
    urls = [PackageURL("pypi", name=each[0].lower(), version=each[1]) for each in listed["python"]]
    urls += [
        PackageURL("deb", "debian", name, version, qualifiers={"arch": architecture})
        for name, version, architecture in listed["debian"]
    ]
    for url in urls:
        component = Component(name=url.name, version=url.version, purl=url, bom_ref=str(url))
        bom.components.add(component)
        bom.register_dependency(bom.metadata.component, [component])
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def invalid(text: str) -> list[str]:
    """Return what the schema of CycloneDX has against ``text``."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return [] if fault is None else [str(fault)]


def locked(lock: str) -> dict[str, str]:
    """Return name -> version of what requirements.lock has."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\n]+)", lock, re.MULTILINE)
    return {_plain(name): version for name, version in found}


def unlocked(
    packages: list[list[str]], lock: dict[str, str], never: Sequence[str] = NEVER
) -> list[str]:
    """Return what is wrong with the Python packages of an image."""
    faults = []
    for name, version in packages:
        if name == "digits":
            continue
        if _plain(name) in never:
            faults.append(f"{name} has no place in it")
        elif lock.get(_plain(name)) != version.partition("+")[0]:  # torch's build for the CPU
            faults.append(f"{name} {version} is not what requirements.lock has")
    return faults


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

"""Build an image of docker/: scripts/image TARGET ..., with the user's own pip settings.

Certificates, indexes and wheels of this machine reach the build as secrets and as an image of their
own; nothing of them stays in what is built.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from digits.contract.manifest import MANIFEST
from digits.deployment.engine import Engine
from digits.deployment.images import ROOT, add_model, run_build, tag_of
from digits.errors import DeploymentError
from digits.tracking.record import git_commit
from scripts.bill_of_materials import NEVER, write_bill
from scripts.pip_settings import pip_settings

OWN_BASE = "digits-base:bookworm"  # made by scripts/engine where no image can be pulled
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
CERTIFICATES = "/run/secrets/pip_cert"
#: target -> file that has it
TARGETS = {
    **dict.fromkeys(("service", "sagemaker", "lambda"), "Dockerfile"),
    "train": "Dockerfile.train",
    **dict.fromkeys(("postgres", "redis", "prometheus", "s3", "mlflow"), "Dockerfile.stack"),
}


class Settings(NamedTuple):
    """What pip is told inside: ``secrets`` are id -> file, ``wheels`` a folder on this machine."""

    secrets: dict[str, Path]
    wheels: Path | None


@contextmanager
def settings_inside(settings: Mapping[str, str]) -> Iterator[Settings]:
    """Translate pip's settings to what is reached from inside a build.

    An index in a folder of this machine is not, and is left out.
    """
    lines = ["[global]"]
    for option in ("index-url", "trusted-host", "timeout"):
        if settings.get(option) and not settings[option].startswith("file:"):
            lines.append(f"{option} = {settings[option]}")
    further = [at for at in settings.get("extra-index-url", "").split() if "file:" not in at]
    if further:
        lines.append(f"extra-index-url = {' '.join(further)}")
    secrets = {}
    certificates = Path(settings.get("cert", ""))
    if certificates.is_file():
        secrets["pip_cert"] = certificates
        lines.append(f"cert = {CERTIFICATES}")
    folders = [Path(at).expanduser() for at in settings.get("find-links", "").split()]
    wheels = next((each for each in folders if each.is_dir() and any(each.glob("*.whl"))), None)
    with tempfile.TemporaryDirectory(prefix="digits-image-") as folder:
        secrets["pip_conf"] = Path(folder) / "pip.conf"
        secrets["pip_conf"].write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield Settings(secrets, wheels)


def wheels_image(engine: Engine, folder: Path) -> str:
    """Return the image with the wheels in ``folder``, made where there is none of the same."""
    found = sorted((each.name, each.stat().st_size) for each in folder.glob("*.whl"))
    name = f"digits-wheels:{hashlib.sha256(repr(found).encode()).hexdigest()[:12]}"
    if engine.image_id(name) is None:
        engine.load_folder(folder, name)
    return name


def build(engine: Engine, target: str, tag: str) -> None:
    """Build ``target`` of docker/Dockerfile as ``tag``."""
    arguments = {name: os.environ[name] for name in PROXIES if name in os.environ}
    base = os.environ.get("BASE_IMAGE") or (OWN_BASE if engine.image_id(OWN_BASE) else None)
    if base:
        arguments["BASE_IMAGE"] = base
    if target == "train":
        arguments["COMMIT"] = git_commit(ROOT)
    with settings_inside(pip_settings()) as inside:
        if inside.wheels is not None:
            arguments["WHEELS_IMAGE"] = wheels_image(engine, inside.wheels)
        options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        options += [f"--secret=id={name},src={file}" for name, file in inside.secrets.items()]
        if TARGETS[target] == "Dockerfile":
            options += ["--tag", tag_of(target)]
        options += ["--target", target, "--tag", tag, str(ROOT)]
        run_build(engine, *options, file=TARGETS[target], screen=sys.stderr)


def main() -> int:
    """Build what is asked for; write the digest of each image to standard output."""
    parser = argparse.ArgumentParser(prog="scripts/image", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--tag", help="name of the image; digits-<target> where not given")
    parser.add_argument("--model", type=Path, help="bundle folder to put into the image")
    parser.add_argument("--version", default="", help="its name in answers, for example digits/3")
    parser.add_argument("--sbom", type=Path, default=ROOT / "dist", help="folder for the SBOM")
    parser.add_argument("--no-sbom", action="store_true", help="write none")
    given = parser.parse_args()
    targets = given.targets or ["service"]
    if given.model is not None and not (given.model / MANIFEST).is_file():
        parser.error(f"--model {given.model}: there is no bundle: {MANIFEST} is missing")
    if (unknown := set(targets) - set(TARGETS)) or (given.tag and len(targets) > 1):
        told = f"no target {', '.join(unknown)}" if unknown else "--tag names one image"
        parser.error(f"{told}; there are {', '.join(TARGETS)}")
    try:
        engine = Engine.find()
        for target in targets:
            began = time.monotonic()
            tag = given.tag or f"digits-{target}"
            build(engine, target, tag)
            if given.model is not None:
                add_model(engine, tag, tag, given.model, given.version)
            told = f"digits: {tag} is built after {time.monotonic() - began:.1f} s"
            if not given.no_sbom:
                never = NEVER if TARGETS[target] == "Dockerfile" else ("pip",)
                bill = given.sbom / f"{target}.cdx.json"
                told += f", {write_bill(engine, tag, bill, ROOT, never)}"
            sys.stderr.write(f"{told}\n")
            sys.stdout.write(f"{engine.image_id(tag)}\n")
    except DeploymentError as error:
        sys.stderr.write(f"digits: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

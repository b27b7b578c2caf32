"""The archive that TorchServe loads: the bundle, and the code that answers from it.

Written here and not by torch-model-archiver: the same version gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

import digits
import serving
from digits.contract.files import write_atomically
from digits.contract.manifest import CONFIG, MANIFEST, Manifest
from digits.contract.pointer import Pointed
from digits.deployment.checks import check_bundle

MANIFEST_FILE = "MAR-INF/MANIFEST.json"
HANDLER = "serving.torchserve_handler"
FIRST_MOMENT = (1980, 1, 1, 0, 0, 0)  # of a zip file: no date makes two archives differ


def model_version(model: Pointed) -> str:
    """Return what TorchServe calls the version: its number, or the beginning of its digest."""
    return model.version.rpartition("/")[2]


def archive_name(model: Pointed) -> str:
    """Return the name of the version's archive: another content has another name."""
    content = f"{model.onnx_sha256} {model.manifest_sha256} {_code_digest()}"
    digest = hashlib.sha256(content.encode()).hexdigest()
    return f"{model.name}-{model_version(model)}-{digest[:12]}.mar"


def write_archive(model: Pointed, file: Path) -> None:
    """Write the archive of a model version to ``file``.

    Raises:
        DeploymentError: the bundle has no ONNX.
        RegistryError: it is damaged.
    """
    from serving.torchserve_handler import BUNDLE  # loads ONNX Runtime

    manifest = check_bundle(model.folder)
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, MANIFEST_FILE, json.dumps(_described(model, manifest), indent=2).encode())
        for name in sorted({*manifest.files, MANIFEST, CONFIG}):
            path = model.folder / name
            if path.exists():
                _add(archive, f"{BUNDLE}/{name}", path.read_bytes())
        for path, name in _code():
            _add(archive, name, path.read_bytes())
    write_atomically(file, content.getvalue())


def _described(model: Pointed, manifest: Manifest) -> dict[str, object]:
    """Return what TorchServe reads first; unknown fields are handed to the handler."""
    from serving.torchserve_handler import NAMED

    return {
        "createdOn": f"{manifest.created:%d/%m/%Y %H:%M:%S}",
        "runtime": "python",
        "model": {
            "modelName": model.name,
            "modelVersion": model_version(model),
            "handler": HANDLER,
            NAMED: model.version,
        },
        "archiverVersion": "0.12.0",  # whose form this is
    }


def _code() -> Iterator[tuple[Path, str]]:
    """Give the modules that the handler stands on, each with its name in the archive."""
    root = Path(str(digits.__file__)).parent
    ours = [root / "__init__.py", root / "errors.py", *sorted((root / "contract").rglob("*.py"))]
    for path in ours:
        yield path, f"digits/{path.relative_to(root)}"
    root = Path(str(serving.__file__)).parent
    for path in sorted(root.rglob("*.py")):
        yield path, f"serving/{path.relative_to(root)}"


@cache
def _code_digest() -> str:
    digest = hashlib.sha256()
    for path, name in _code():
        digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, FIRST_MOMENT)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)

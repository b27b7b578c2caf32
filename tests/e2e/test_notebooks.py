"""Every notebook runs from its first cell to its last on the embedded data, and draws."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs that the notebooks share: one trains what the next explains."""
    return tmp_path_factory.mktemp("outputs")


@pytest.mark.parametrize(
    ("name", "pictures"), [("data", 4), ("experiments", 2), ("explanations", 2)]
)
def test_notebook_runs(name: str, pictures: int, root: Path) -> None:
    pytest.importorskip("ipykernel", reason="needs the extra notebooks")
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    environment = os.environ | {"DIGITS_NOTEBOOK_ROOT": str(root), "MPLBACKEND": ""}
    environment.pop("MLFLOW_TRACKING_URI", None)
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(NOTEBOOKS)}}
    )
    client.execute(env=environment)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    drawn = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(drawn) == pictures
    kept = os.environ.get("DIGITS_NOTEBOOK_KEPT")
    if kept:
        nbformat.write(notebook, Path(kept) / f"{name}.ipynb")

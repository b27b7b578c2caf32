"""Checkpoints that survive a power cut: written whole, flushed to the disk, then renamed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from digits.contract.files import write_atomically


class DurableCheckpoints(TorchCheckpointIO):
    """Lightning's own files, which it renames into place without flushing them first."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write ``checkpoint`` to ``path``, a local file; the folder is made."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content.getvalue())

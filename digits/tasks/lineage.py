"""`task=lineage`: where a model, a run or data comes from, and what came of it."""

from __future__ import annotations

import json
import sys
from typing import Annotated

from pydantic import Field

from digits.contract.files import write_atomically
from digits.data.versions import Versions
from digits.registry import lineage_walk
from digits.tasks import lineage_tree
from digits.tracking.record import Record
from digits.tracking.store import Tracking

LINEAGE_FILE = "lineage.json"


def lineage(
    record: Record,
    *,
    of: str | int,
    tracking: Tracking,
    versions: Versions,
    registered_name: Annotated[str, Field(pattern=r"^[^/:.%\"']+$")] = "digits",
    as_json: bool = False,
) -> None:
    """Show the whole chain that something belongs to; nothing but the tracking store is read.

    Args:
        record: the job's folder and configuration.
        of: alias or number of a model version, run id, run folder, or digest of data.
        tracking: where runs and models are recorded.
        versions: where data is kept.
        registered_name: the registered model.
        as_json: print the JSON instead of the tree.

    Raises:
        RegistryError: the store knows nothing of this name.
        TrackingError: the store does not answer.
    """
    found = lineage_walk.lineage(tracking, versions, str(of), name=registered_name)
    text = json.dumps(found.to_dict(), indent=2, ensure_ascii=False) + "\n"
    file = record.folder / LINEAGE_FILE
    write_atomically(file, text)
    if as_json:
        sys.stdout.write(text)
    else:
        lineage_tree.show(found, file)

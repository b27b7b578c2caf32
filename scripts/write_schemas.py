"""Write the JSON schemas of conf/ and say to an editor which file each is for."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from digits.config.schema import schemas
from digits.contract import switches
from digits.contract.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
KEY = "yaml.schemas"


def write(folder: Path) -> dict[str, list[str]]:
    """Write every schema into ``folder``; return its file -> the files of conf/ that it is for."""
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for name, (schema, files) in schemas(ROOT / "conf").items():
        file = folder / f"{name}.json"
        write_atomically(file, json.dumps(schema, indent=1) + "\n")
        mapping[str(file)] = [each.relative_to(ROOT).as_posix() for each in files]
    return mapping


def main() -> None:
    """Write the schemas; settings of VS Code that are there already are left alone."""
    parser = argparse.ArgumentParser(prog="scripts/schemas", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "schemas")
    parser.add_argument("--settings", type=Path, default=ROOT / ".vscode" / "settings.json")
    typed = parser.parse_args()
    switches.apply()
    mapping = write(typed.folder.absolute())
    print(f"{len(mapping)} schemas are in {typed.folder}")
    settings = json.dumps({KEY: mapping}, indent=2)
    if not typed.settings.exists():
        typed.settings.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(typed.settings, settings + "\n")
        print(f"{typed.settings} points to them (extension: YAML by Red Hat)")
    else:
        print(f"{typed.settings} is yours and left as it is. What it needs:\n{settings}")


if __name__ == "__main__":
    main()

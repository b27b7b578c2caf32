"""Run a command with pip's settings translated for uv, which reads none of them.

    python scripts/pip_settings.py uv pip install ...

The settings are those of the pip of the Python that runs this file: configuration files of
every level and PIP_* variables, as ``pip config list`` merges them. A UV_* variable that the user
has set himself wins over its translation. Values may hold passwords: nothing here prints them.
Standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

# pip's own order: what is meant for `pip install` beats [global], a variable beats every file.
SECTIONS = ("global", "install", ":env:")
# Other spellings that pip accepts for the same option.
SPELLINGS = {"default-timeout": "timeout", "pypi-url": "index-url"}
# Either of the names, set by the user, keeps ours away: the second is uv's older name.
OLDER_NAMES = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
TRUE = frozenset({"y", "yes", "t", "true", "on", "1"})


def parse_pip_config(listing: str) -> dict[str, str]:
    """Merge the lines of ``pip config list`` into ``{option: value}``.

    Lines look like ``global.index-url='...'`` with the value as a Python literal; sections of
    other commands than install are left out, and so are empty values, as pip does.
    """
    merged: dict[str, str] = {}
    for wanted in SECTIONS:
        for line in listing.splitlines():
            key, separator, literal = line.partition("=")
            section, dot, option = key.partition(".")
            if not separator or not dot or section != wanted:
                continue
            try:
                value = str(ast.literal_eval(literal)).strip()
            except (SyntaxError, ValueError):
                continue
            if value:
                option = option.lower().replace("_", "-")
                merged[SPELLINGS.get(option, option)] = value
    return merged


def uv_variables(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to set so that uv behaves as pip would with ``settings``.

    ``environment`` is the user's: of the UV_* variables in it none is returned.
    """
    wanted = {
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": " ".join(settings.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(_locations(settings.get("find-links", ""))),
        "UV_INSECURE_HOST": " ".join(settings.get("trusted-host", "").split()),
        "UV_HTTP_TIMEOUT": _whole_seconds(settings.get("timeout", "")),
        "UV_KEYRING_PROVIDER": _keyring(settings.get("keyring-provider", "")),
        # pip takes the best version of all indexes together; uv's own default stops at the first
        # index that knows the name, so the same settings would find other packages.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "HTTP_PROXY": _proxy(settings.get("proxy", "")),
        "HTTPS_PROXY": _proxy(settings.get("proxy", "")),
        "SSL_CLIENT_CERT": settings.get("client-cert", ""),
    }
    certificate = settings.get("cert", "")
    wanted["SSL_CERT_DIR" if Path(certificate).is_dir() else "SSL_CERT_FILE"] = certificate
    return {
        name: value
        for name, value in wanted.items()
        if value and not _chosen_by_user(name, environment)
    }


def uv_arguments(settings: Mapping[str, str], command: Sequence[str]) -> list[str]:
    """Return ``command`` with ``--no-index`` where pip has it: uv knows no variable for it."""
    if settings.get("no-index", "").lower() in TRUE:
        return [*command, "--no-index"]
    return list(command)


def pip_settings() -> dict[str, str]:
    """Ask this Python's pip for its settings; without a working pip there are none."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    )
    return parse_pip_config(asked.stdout) if asked.returncode == 0 else {}


def _chosen_by_user(name: str, environment: Mapping[str, str]) -> bool:
    if not name.startswith("UV_"):
        return False  # pip, too, prefers its own settings to the general variables
    return name in environment or OLDER_NAMES.get(name, name) in environment


def _locations(find_links: str) -> list[str]:
    """Split ``find_links``; folders become absolute, because uv may run in another one.

    A folder that is not there is left out: pip only warns of it, uv would stop.
    """
    folders = {at: os.path.abspath(os.path.expanduser(at)) for at in find_links.split()}
    return [
        at if "://" in at else folder
        for at, folder in folders.items()
        if "://" in at or Path(folder).exists()
    ]


def _proxy(address: str) -> str:
    return address if not address or "://" in address else f"http://{address}"


def _whole_seconds(timeout: str) -> str:
    try:
        return str(max(1, round(float(timeout))))
    except ValueError:
        return ""


def _keyring(provider: str) -> str:
    return provider if provider in {"disabled", "subprocess"} else ""


def main(command: Sequence[str]) -> NoReturn:
    """Replace this process by ``command``; without one, say how to call this."""
    if not command:
        sys.exit("usage: python scripts/pip_settings.py COMMAND ...")
    settings = pip_settings()
    environment = {**os.environ, **uv_variables(settings, os.environ)}
    os.execvpe(command[0], uv_arguments(settings, command), environment)


if __name__ == "__main__":
    main(sys.argv[1:])

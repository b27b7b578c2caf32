"""scripts/pip_settings.py: what pip is told reaches uv."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "pip_settings.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pip_settings", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pip_settings = load()


def seen_by_command(
    tmp_path: Path,
    *,
    pip_conf: str = "",
    **variables: str,
) -> dict[str, str]:
    """Run the script on ``env`` with one pip.conf and these variables; return what it printed."""
    conf = tmp_path / "pip.conf"
    conf.write_text(pip_conf)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "env"],
        env={**kept, "PIP_CONFIG_FILE": str(conf), **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.partition("=")[::2] for line in done.stdout.splitlines())


def test_variable_beats_install_section_beats_global() -> None:
    listing = (
        ":env:.index-url='from-variable'\n"
        "global.index-url='from-global'\n"
        "global.cert='/global.pem'\n"
        "install.cert='/install.pem'\n"
        "download.proxy='other-command'\n"
    )
    assert pip_settings.parse_pip_config(listing) == {
        "index-url": "from-variable",
        "cert": "/install.pem",
    }


@pytest.mark.parametrize("line", ["", "no separator", "global.cert=unquoted", "global.cert=''"])
def test_line_without_a_value_is_left_out(line: str) -> None:
    assert pip_settings.parse_pip_config(line) == {}


def test_several_locations_on_several_lines() -> None:
    settings = pip_settings.parse_pip_config(
        "global.extra-index-url='\\nfile:///one\\nfile:///two'\n"
        "global.find-links='file:///a http://127.0.0.1:1/b'\n"
    )
    variables = pip_settings.uv_variables(settings, {})
    assert variables["UV_INDEX"] == "file:///one file:///two"
    assert variables["UV_FIND_LINKS"] == "file:///a,http://127.0.0.1:1/b"


def test_relative_find_links_keep_their_meaning_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheels").mkdir()
    monkeypatch.chdir(tmp_path)
    variables = pip_settings.uv_variables({"find-links": "wheels file:///kept"}, {})
    assert variables["UV_FIND_LINKS"] == f"{tmp_path / 'wheels'},file:///kept"


def test_absent_find_links_folder_is_left_out(tmp_path: Path) -> None:
    variables = pip_settings.uv_variables({"find-links": str(tmp_path / "absent")}, {})
    assert "UV_FIND_LINKS" not in variables


@pytest.mark.parametrize(
    ("option", "value", "variable", "expected"),
    [
        ("index-url", "http://127.0.0.1:1/simple", "UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple"),
        ("trusted-host", "one\ntwo", "UV_INSECURE_HOST", "one two"),
        ("timeout", "7.6", "UV_HTTP_TIMEOUT", "8"),
        ("proxy", "127.0.0.1:3128", "HTTPS_PROXY", "http://127.0.0.1:3128"),
        ("proxy", "https://127.0.0.1:3128", "HTTP_PROXY", "https://127.0.0.1:3128"),
        ("client-cert", "/me.pem", "SSL_CLIENT_CERT", "/me.pem"),
        ("cert", "/ca.pem", "SSL_CERT_FILE", "/ca.pem"),
        ("keyring-provider", "subprocess", "UV_KEYRING_PROVIDER", "subprocess"),
    ],
)
def test_each_setting_has_its_variable(
    option: str, value: str, variable: str, expected: str
) -> None:
    assert pip_settings.uv_variables({option: value}, {})[variable] == expected


def test_folder_of_certificates(tmp_path: Path) -> None:
    variables = pip_settings.uv_variables({"cert": str(tmp_path)}, {})
    assert variables["SSL_CERT_DIR"] == str(tmp_path)
    assert "SSL_CERT_FILE" not in variables


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_users_own_uv_variable_wins(name: str) -> None:
    variables = pip_settings.uv_variables({"index-url": "http://from-pip"}, {name: "mine"})
    assert "UV_DEFAULT_INDEX" not in variables


def test_without_settings_only_the_strategy_is_set() -> None:
    assert pip_settings.uv_variables({}, {}) == {"UV_INDEX_STRATEGY": "unsafe-best-match"}


@pytest.mark.parametrize(
    ("value", "added"), [("true", ["--no-index"]), ("1", ["--no-index"]), ("off", [])]
)
def test_no_index_becomes_an_argument(value: str, added: list[str]) -> None:
    assert pip_settings.uv_arguments({"no-index": value}, ["uv"]) == ["uv", *added]


def test_configuration_file_reaches_the_command(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    seen = seen_by_command(
        tmp_path,
        pip_conf=(
            "[global]\nindex-url = http://127.0.0.1:1/simple\n[install]\nfind-links = wheels\n"
        ),
    )
    assert seen["UV_DEFAULT_INDEX"] == "http://127.0.0.1:1/simple"
    assert seen["UV_FIND_LINKS"] == str(tmp_path / "wheels")


def test_variable_reaches_the_command_and_beats_the_file(tmp_path: Path) -> None:
    seen = seen_by_command(
        tmp_path,
        pip_conf="[global]\nindex-url = http://127.0.0.1:1/file\ntimeout = 3\n",
        PIP_INDEX_URL="http://127.0.0.1:1/variable",
        PIP_DEFAULT_TIMEOUT="44",
    )
    assert seen["UV_DEFAULT_INDEX"] == "http://127.0.0.1:1/variable"
    assert seen["UV_HTTP_TIMEOUT"] == "44"


def test_passwords_are_not_printed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), sys.executable, "-c", "import sys; sys.exit(3)"],
        env={**os.environ, "PIP_INDEX_URL": "http://me:secret@127.0.0.1:1/simple"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "secret" not in done.stdout + done.stderr


def test_without_a_command_it_says_how() -> None:
    with pytest.raises(SystemExit, match=r"usage: .* COMMAND"):
        pip_settings.main([])

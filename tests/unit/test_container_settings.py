"""What the environment of a container says becomes the settings of its service."""

from __future__ import annotations

import pytest

from digits.contract.pointer import Pointed, Pointer
from digits.errors import ConfigError, DigitsError, RegistryError
from serving.container import as_environment, settings_of
from serving.environment import digests_of
from serving.fetch import Source
from serving.settings import Settings

DIGEST = "d" * 64
NAMED = {"DIGITS_MODEL_SHA256": DIGEST, "DIGITS_MODEL": "/m"}


def test_nothing_said_is_every_address_and_the_folder_of_the_image(tmp_path):
    settings = settings_of({}, tmp_path)
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    assert str(settings.pointer) == "/opt/ml/model"
    assert settings.traffic.url is None


def test_values_of_every_type_come_through(tmp_path):
    environment = {
        "DIGITS_SERVING_PORT": "9000",
        "DIGITS_SERVING_LIMITS__RATE": "12.5",
        "DIGITS_SERVING_TRAFFIC__URL": "sqlite:////t/t.db",
        "DIGITS_SERVING_TRAFFIC__IMAGES": "false",
        "DIGITS_SERVING_TRAFFIC__MAX_DAYS": "null",
        "DIGITS_SERVING_DEPLOYMENT": "17",
        "HOME": "/",
    }
    settings = settings_of(environment, tmp_path)
    assert settings.port == 9000 and settings.limits.rate == 12.5
    assert settings.traffic.url == "sqlite:////t/t.db"
    assert settings.traffic.images is False and settings.traffic.max_days is None
    assert settings.deployment == "17"


def test_what_is_told_a_container_is_what_it_reads(tmp_path):
    told = Settings.of(
        {
            "pointer": "/p",
            "workers": 3,
            "limits": {"rate": 7, "batch": 5},
            "traffic": {"url": None, "images": False, "max_bytes": None},
            "challenger": {"mode": "shadow", "percent": 0.5},
            "log": {"requests": "all"},
            "deployment": "docker-1",
        }
    )
    own = {"DIGITS_SERVING_POINTER": "/p", "DIGITS_SERVING_HOST": "127.0.0.1"}
    assert settings_of({**as_environment(told), **own}, tmp_path) == told


def test_a_variable_wins_over_the_file(tmp_path):
    file = tmp_path / "settings.json"
    file.write_text(Settings(pointer=tmp_path / "p", port=1, workers=2).model_dump_json())
    environment = {"DIGITS_SERVING_SETTINGS": str(file), "DIGITS_SERVING_PORT": "2"}
    settings = settings_of(environment, tmp_path)
    assert (settings.port, settings.workers) == (2, 2)
    assert settings.pointer == tmp_path / "p"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("DIGITS_SERVING_PORT", "x", "serving.port"),
        ("DIGITS_SERVING_PROT", "1", "serving.prot"),
        ("DIGITS_SERVING_LIMITS__RATES", "1", "serving.limits.rates"),
        ("DIGITS_SERVING_PORT__NUMBER", "1", "port is one value"),
        ("DIGITS_MODEL_VERSION", "3", "not of the form digits/3"),
        ("DIGITS_MODEL_VERSION", "digits/three", "not of the form digits/3"),
        ("DIGITS_SERVING_SETTINGS", "/nowhere.json", "/nowhere.json"),
    ],
)
def test_nonsense_is_named(name, value, told, tmp_path):
    environment = {"DIGITS_SERVING_PORT": "8000", name: value}
    with pytest.raises(ConfigError, match=told):
        settings_of(environment, tmp_path)


def test_a_version_and_a_digest_become_a_pointer(tmp_path):
    settings = settings_of({**NAMED, "DIGITS_MODEL_VERSION": "digits/3"}, tmp_path)
    champion = Pointer.read(settings.pointer).champion
    assert (champion.version, str(champion.folder)) == ("digits/3", "/m")
    assert champion.onnx_sha256 == DIGEST
    unnamed = Pointer.read(settings_of(NAMED, tmp_path).pointer).champion
    assert unnamed.version == DIGEST[:12]


@pytest.mark.parametrize("seconds", ["0", "soon", "nan", "1e9"])
def test_interval_of_a_model_that_is_pulled_is_checked_first(seconds, tmp_path):
    environment = {"DIGITS_MODEL": "http://127.0.0.1:1/digits@champion"}
    with pytest.raises(ConfigError, match="DIGITS_MODEL_SECONDS"):
        settings_of({**environment, "DIGITS_MODEL_SECONDS": seconds}, tmp_path)


def test_a_server_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DigitsError, match=r"127\.0\.0\.1:1/digits@champion cannot be had"):
        settings_of({"DIGITS_MODEL": "http://127.0.0.1:1/digits@champion"}, tmp_path)


@pytest.mark.parametrize("name", ["DIGITS_MODEL_SHA256", "DIGITS_MODEL_MANIFEST_SHA256"])
def test_an_alias_cannot_be_held_to_a_digest(name, tmp_path):
    environment = {"DIGITS_MODEL": "http://127.0.0.1:1/digits@champion", name: DIGEST}
    with pytest.raises(ConfigError, match=rf"{name} .*names an alias"):
        settings_of(environment, tmp_path)


@pytest.mark.parametrize("name", ["DIGITS_MODEL_SHA256", "DIGITS_MODEL_MANIFEST_SHA256"])
def test_what_is_pulled_by_number_is_held_to_the_digests(name, tmp_path, monkeypatch):
    pulled = Pointed(
        name="digits", number=3, folder=tmp_path, onnx_sha256=DIGEST, manifest_sha256="e" * 64
    )

    def point(source, folder):
        Pointer(champion=pulled).write(tmp_path / "pulled.json")
        return tmp_path / "pulled.json"

    monkeypatch.setattr(Source, "point", point)
    environment = {"DIGITS_MODEL": "http://127.0.0.1:1/digits/3", **digests_of(pulled)}
    assert settings_of(environment, tmp_path).pointer == tmp_path / "pulled.json"
    with pytest.raises(RegistryError, match=f"digits/3 is another model than {name} says"):
        settings_of({**environment, name: "f" * 64}, tmp_path)

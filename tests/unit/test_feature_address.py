"""One form of address for every online store, and never a password in it."""

from __future__ import annotations

import pytest

from digits.errors import FeatureError
from digits.features.address import Address
from digits.features.store import FeatureStore


def test_sqlite():
    assert Address("sqlite:////tmp/x/online.db").settings == {
        "type": "sqlite",
        "path": "/tmp/x/online.db",
    }


def test_redis(monkeypatch):
    monkeypatch.delenv("REDISCLI_AUTH", raising=False)
    settings = Address("redis://host").settings
    assert settings["connection_string"].startswith("host:6379,db=0,")
    monkeypatch.setenv("REDISCLI_AUTH", "secret")
    words = Address("rediss://user@host:7000/3").settings["connection_string"].split(",")
    assert words[0] == "host:7000"
    assert {"db=3", "username=user", "password=secret", "ssl=true"} < set(words)


def test_postgres(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "secret")
    settings = Address("postgresql://user@host/features?sslmode=require").settings
    assert settings["password"] == "secret" and settings["sslmode"] == "require"
    assert (settings["host"], settings["port"]) == ("host", 5432)
    assert (settings["user"], settings["database"]) == ("user", "features")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mongodb://x", "must be sqlite"),
        ("nonsense", "must be sqlite"),
        ("sqlite://host/x", "no path"),
        ("redis:///0", "no host"),
        ("redis://host/name", "no host, or no number"),
        ("redis://host:port", "Port could not be cast"),
        ("postgresql://host/x", "no host, user or database"),
        ("postgresql://a:secret@host/x", "leave the password out"),
    ],
)
def test_what_is_no_address(url, said):
    with pytest.raises(ValueError, match=said) as caught:
        Address(url)
    assert "secret" not in str(caught.value)


def test_a_fault_of_a_server_is_one_line_and_ours_goes_through():
    address = Address("redis://host")
    with (
        pytest.raises(FeatureError, match=r"^features\.online: redis://host cannot be used: gone$"),
        address.explained(),
    ):
        raise ConnectionRefusedError("gone\nfor long")
    with pytest.raises(ZeroDivisionError), address.explained():
        raise ZeroDivisionError


def test_address_that_is_none_is_told_by_the_name_of_its_key(tmp_path):
    with pytest.raises(ValueError, match=r"^online: must be sqlite"):
        FeatureStore(root=str(tmp_path), online="mysql://host/digits")

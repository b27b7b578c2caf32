"""Promotions in processes of their own, killed where the test says."""

from __future__ import annotations

import os
import signal

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from digits.promotion import champion
from digits.registry.versions import Version

WRITES = (
    "create_registered_model",
    "create_model_version",
    "set_model_version_tag",
    "set_registered_model_alias",
    "delete_registered_model_alias",
)


class Disturbed(MlflowClient):
    """A client that calls ``disturb(moment, number of the write, its name)`` around each write."""

    def __init__(self, uri, disturb):
        super().__init__(tracking_uri=uri, registry_uri=uri)
        self.disturb = disturb
        self.writes = 0


def _disturbed(name):
    def write(self, *arguments, **named):
        self.writes += 1
        number = self.writes
        self.disturb("before", number, name)
        try:
            return getattr(MlflowClient, name)(self, *arguments, **named)
        finally:
            self.disturb("after", number, name)

    return write


for _name in WRITES:
    setattr(Disturbed, _name, _disturbed(_name))


def killed_after(wanted):
    """Return what kills this process, as ``kill -9`` does, after the write of that number.

    For the store that is the same as before the next one. A name stands for before its first.
    """

    def disturb(moment, number, name):
        if (moment, wanted) in (("after", number), ("before", name)):
            os.kill(os.getpid(), signal.SIGKILL)

    return disturb


def move(uri, action, number, write):
    """Promote version ``number`` or roll back; exits 0 when it came to its end."""
    client = Disturbed(uri, killed_after(write))
    if action == "rollback":
        champion.rollback(client, "digits")
    else:
        now = champion.pair(client, "digits").champion
        champion.promote(client, Version("digits", number), over=now)


def promote_in_turn(uri, numbers, started):
    """Promote one version after another over whoever is champion, as often as that takes."""
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    started.wait()
    for number in numbers:
        while True:
            now = champion.pair(client, "digits").champion
            if champion.promote(client, Version("digits", number), over=now) is not None:
                break


def registered(client, count):
    """Register ``count`` versions of a model without a bundle: the aliases need none."""
    try:
        client.create_registered_model("digits")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for _ in range(count):
        client.create_model_version("digits", source="s3://bucket/none")

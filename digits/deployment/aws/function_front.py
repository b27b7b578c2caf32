"""What is asked of a function at AWS Lambda: the alias with its shares, and the URL."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from digits.deployment.aws.faults import explained, missing_is_fine
from digits.deployment.aws.function_parts import configuration
from digits.deployment.aws.parts import Part, Stand
from digits.deployment.aws.session import Session
from digits.deployment.ledger import Resource
from digits.errors import DeploymentError
from serving.settings import api_keys

ALIAS, URL = "lambda-alias", "lambda-url"
LIVE = "live"  # the alias that is asked
NOT_YET = "to be published"  # instead of a number
ACCESS = {"NONE": "asks for an API key", "AWS_IAM": "asks for a signature of who may invoke it"}
PUBLIC: Mapping[str, Mapping[str, Any]] = {  # that anybody may ask a URL takes both of them
    "anybody-url": {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
    "anybody-function": {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True},
}


class Shares(NamedTuple):
    """Which versions answer.

    Attributes:
        version: number of the version that answers what is left.
        second: number -> share in 0..1, of another one; empty: there is none.
    """

    version: str | None
    second: Mapping[str, float] = {}

    def __str__(self) -> str:
        found = [f"{100 * share:g} % version {number}" for number, share in self.second.items()]
        left = 100 * (1 - sum(self.second.values()))
        return ", ".join([f"{left:g} % version {self.version or NOT_YET}", *found])


class Alias(Part):
    """The name that is asked, and the versions that answer under it.

    Args:
        aws: where.
        function: its name.
        shares: who is to answer; a version that is not published yet has no number.
    """

    kind = ALIAS

    def __init__(self, aws: Session, function: str, shares: Shares) -> None:
        self._aws, self._function, self._shares = aws, function, shares
        self.name = f"{function}:{LIVE}"
        self.detail = str(shares)

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        found = alias(self._aws, self._function)
        if found is None:
            return "create"
        return "keep" if found == self._shares else "change"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        client = self._aws.client("lambda")
        assert self._shares.version is not None, "publish() comes first"
        do = client.create_alias if self.look() == "create" else client.update_alias
        with explained():
            do(
                FunctionName=self._function,
                Name=LIVE,
                FunctionVersion=self._shares.version,
                RoutingConfig={"AdditionalVersionWeights": dict(self._shares.second)},
            )


class Url(Part):
    """An address of the function's own, ``https://<id>.lambda-url.<region>.on.aws``.

    Args:
        aws: where.
        function: its name.
        is_open: whether anybody may ask; else only who may invoke the function.
    """

    kind = URL

    def __init__(self, aws: Session, function: str, *, is_open: bool) -> None:
        self._aws, self._function, self._is_open = aws, function, is_open
        self.name = f"{function}:{LIVE}"
        self.detail = ACCESS[self._kind_of_access()]

    @staticmethod
    def access(found: Mapping[str, Any]) -> str:
        """Say what a URL, as AWS describes it, asks for."""
        return ACCESS[found["AuthType"]]

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        found = url(self._aws, self._function)
        if found is None:
            return "create"
        return "keep" if found["AuthType"] == self._kind_of_access() else "change"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        client, place = self._aws.client("lambda"), self._place()
        is_new = self.look() == "create"
        for statement, further in PUBLIC.items():
            with missing_is_fine():
                client.remove_permission(**place, StatementId=statement)
            if self._is_open:
                with explained():
                    client.add_permission(**place, StatementId=statement, Principal="*", **further)
        do = client.create_function_url_config if is_new else client.update_function_url_config
        with explained():
            do(**place, AuthType=self._kind_of_access())

    def _kind_of_access(self) -> str:
        return "NONE" if self._is_open else "AWS_IAM"

    def _place(self) -> dict[str, str]:
        return {"FunctionName": self._function, "Qualifier": LIVE}


def alias(aws: Session, function: str) -> Shares | None:
    """Return who answers; None where there is no alias."""
    found: dict[str, Any] = {}
    with missing_is_fine():
        found = aws.client("lambda").get_alias(FunctionName=function, Name=LIVE)
    if not found:
        return None
    second = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return Shares(found["FunctionVersion"], second)


def url(aws: Session, function: str) -> dict[str, Any] | None:
    """Return the function's URL as AWS describes it; None where there is none."""
    found: dict[str, Any] | None = None
    with missing_is_fine():
        found = aws.client("lambda").get_function_url_config(FunctionName=function, Qualifier=LIVE)
    return found


def is_open(aws: Session, function: str) -> bool:
    """Tell whether anybody may ask the function's URL: the version that answers has to check."""
    found = url(aws, function)
    return found is not None and found["AuthType"] == "NONE"


def keys_of(aws: Session, function: str, version: str) -> frozenset[str]:
    """Return the API keys that a version, or that of an alias, asks for; empty: for none."""
    found = configuration(aws, function, version) or {}
    return api_keys(found.get("Environment", {}).get("Variables", {}))


def check_keys(aws: Session, function: str, version: str, wanted: Collection[str]) -> None:
    """Hold a version that anybody could ask against the keys that are to be asked for.

    A version keeps the variables that it was published with; the URL belongs to the alias.

    Args:
        aws: where.
        function: its name.
        version: its number.
        wanted: the keys; empty: any.

    Raises:
        DeploymentError: it asks for other keys, or none.
    """
    held = keys_of(aws, function, version)
    if not held or (wanted and held != wanted):
        told = "other API keys" if held else "no API key"
        raise DeploymentError(
            f"Version {version} of the function {function} asks for {told}, and the URL is for "
            f"whoever has one: deploy what is in it anew, with action=apply version=... "
            f"deployment.url=keys and no deployment.canary_percent"
        )


def remove_alias(aws: Session, resource: Resource) -> None:
    """Remove the alias."""
    function, _, name = resource.name.partition(":")
    with missing_is_fine():
        aws.client("lambda").delete_alias(FunctionName=function, Name=name)


def remove_url(aws: Session, resource: Resource) -> None:
    """Remove the URL, and with it who may ask it."""
    function, _, name = resource.name.partition(":")
    client, place = aws.client("lambda"), {"FunctionName": function, "Qualifier": name}
    with missing_is_fine():
        client.delete_function_url_config(**place)
    for statement in PUBLIC:
        with missing_is_fine():
            client.remove_permission(**place, StatementId=statement)

"""How a function is to be: from an order to the parts that have to be there for it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from digits.contract.manifest import ONNX, verify
from digits.deployment.aws.code import Code, ContainerImage, ZipFile
from digits.deployment.aws.function_parts import CONTENT, Function, Wanted
from digits.deployment.aws.iam import Role
from digits.deployment.aws.log_group import LogGroup
from digits.deployment.aws.package import Architecture, Package, Runtime
from digits.deployment.aws.parts import Part
from digits.deployment.aws.session import Session
from digits.deployment.target import Order
from digits.errors import DeploymentError
from serving.environment import as_environment
from serving.settings import KEYS, api_keys

HANDLER = "serving.aws_lambda.handler"
PASSED_ON = ("DIGITS_SERVING_LIMITS__", "DIGITS_SERVING_LOG__")  # the rest belongs to a server
MOST_BODY = 4_400_000  # Lambda lets 6 MB pass, in base64

Days = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365]


@dataclass(frozen=True)
class Shape:
    """How a function is to be, whatever the model; see :class:`digits.deployment.aws.function`.

    Attributes:
        asks_for_key: whether one of ``DIGITS_API_KEYS`` is asked for.
    """

    name: str
    package: Literal["zip", "image"]
    image: str | None
    runtime: Runtime
    architecture: Architecture
    memory_mb: int
    timeout_seconds: int
    concurrency: int | None
    asks_for_key: bool
    log_days: Days
    cache: Path
    wait_seconds: float
    registry: str | None

    def parts(self, aws: Session, order: Order) -> tuple[list[Part], list[Part], Function]:
        """Return what has to be there before the function, its code, and the function.

        Raises:
            DeploymentError: the version cannot be deployed so.
            RegistryError: its bundle is damaged.
        """
        if ONNX not in verify(order.model.folder).files:
            raise DeploymentError(
                f"{order.model.version} has no {ONNX}, and nothing else can be deployed: train or "
                f"register the model with this version of Digits"
            )
        logs = LogGroup(aws, self.name, self.log_days)
        may = {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": [f"{logs.arn}:*"],
        }
        role = Role(aws, f"{self.name}-lambda-{aws.region}", service="lambda", statements=[may])
        code = self._code(aws, order)
        wanted = self._wanted(order, role, code)
        function = Function(aws, self.name, wanted, wait_seconds=self.wait_seconds)
        return [logs, role], list(code.parts), function

    def _code(self, aws: Session, order: Order) -> Code:
        if self.package == "image":
            return ContainerImage(aws, self.name, self.image, order.model, registry=self.registry)
        package = Package(
            order.model.folder,
            runtime=self.runtime,
            architecture=self.architecture,
            cache=self.cache,
        )
        return ZipFile(aws, self.name, package)

    def _wanted(self, order: Order, role: Role, code: Code) -> Wanted:
        variables = self._variables(order)
        plain: dict[str, Any] = {
            "Role": role.arn,
            "MemorySize": self.memory_mb,
            "Timeout": self.timeout_seconds,
            "Description": f"Digits: {order.model.version}",
        }
        if code.kind == "Zip":
            plain |= {"Runtime": self.runtime, "Handler": HANDLER}
        told = json.dumps([code.key, self.architecture, plain, variables], sort_keys=True)
        content = hashlib.sha256(told.encode()).hexdigest()[:24]
        plain["Environment"] = {"Variables": {**variables, CONTENT: content}}
        return Wanted(
            content, code.kind, code.arguments, plain, self.architecture, self.concurrency
        )

    def _variables(self, order: Order) -> dict[str, str]:
        limits = order.settings.limits
        seconds = min(limits.request_seconds, self.timeout_seconds - 1)
        bounded = {"request_seconds": seconds, "body_bytes": min(limits.body_bytes, MOST_BODY)}
        settings = order.settings.model_copy(update={"limits": limits.model_copy(update=bounded)})
        passed = as_environment(settings).items()
        variables = {name: value for name, value in passed if name.startswith(PASSED_ON)}
        variables |= {"DIGITS_MODEL_VERSION": order.model.version, "OMP_NUM_THREADS": "1"}
        if self.asks_for_key:
            if not api_keys():
                raise DeploymentError(
                    f"deployment.url=keys: set {KEYS} to the keys that clients may show, separated "
                    f"by commas; without them anybody could ask at your cost"
                )
            variables[KEYS] = ",".join(sorted(api_keys()))
        return variables

"""Every error that Digits raises on purpose.

    DigitsError                 exit code 1, one message, no stack trace
    ├── ConfigError             exit code 2: findings, each with its key path
    ├── ResumeError             exit code 2: what to resume is missing or has changed
    ├── ReproductionError       exit code 2: what to reproduce is missing; 1: it came out otherwise
    ├── MissingExtraError       a task whose extra is not installed: the command that adds it
    ├── DataError               a file, folder or split that cannot be used
    │   └── DownloadError       the public mirrors did not give the file
    ├── TrackingError           the tracking store does not answer or cannot be written
    ├── TrafficError            the store of served predictions does not answer or cannot be written
    ├── FeatureError             the feature store does not answer, or lacks what is asked for
    ├── ExportError             the exported graph disagrees with the trained network
    ├── ExplanationError        an attribution method that does not suit the network
    ├── DeploymentError         a deployment that is not there, does not start or cannot be changed
    ├── LoopError               a step of the loop failed, or another loop is at work
    ├── PipelineError           a step of a pipeline failed, or its engine cannot be had
    ├── RegistryError           a model version or bundle that is missing, damaged or half-written
    ├── DriftError              exit code 10: traffic has changed, and answers are worse for it
    ├── CannotTellError         exit code 11: too few images, or no reference, to tell
    └── RejectedError           exit code 12: the gate has turned a model away

The message of each names the key or file concerned and says what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class DigitsError(Exception):
    """Base of the tree; ``exit_code`` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True, order=True)
class Finding:
    """One fault of a configuration: the key path it is at, and what is wrong there."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


class ConfigError(DigitsError):
    """A composed configuration that must not run; carries every finding at once."""

    exit_code: ClassVar[int] = 2

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        width = max((len(finding.key) for finding in findings), default=0)
        lines = [f"  {finding.key:<{width}}  {finding.message}" for finding in findings]
        count = "1 fault" if len(findings) == 1 else f"{len(findings)} faults"
        super().__init__("\n".join([f"The configuration has {count}:", *lines]))


class ResumeError(DigitsError):
    """A run cannot be resumed: unknown, finished, or its configuration has changed."""

    exit_code: ClassVar[int] = 2


class ReproductionError(DigitsError):
    """A run cannot be reproduced: unknown, unfinished, or what it started from is gone."""

    exit_code: ClassVar[int] = 2


class NotReproducedError(ReproductionError):
    """A run was reproduced and other numbers came out."""

    exit_code: ClassVar[int] = 1


class MissingExtraError(DigitsError):
    """A library of an optional extra is not installed; ``without`` is how to do without it."""

    def __init__(self, extra: str, module: str, *, without: str | None = None) -> None:
        self.extra = extra
        message = (
            f"This task needs the extra '{extra}' ({module} is not installed). "
            f"Add it with: scripts/bootstrap {extra}"
        )
        super().__init__(f"{message}; or go without: {without}" if without else message)


class DataError(DigitsError):
    """Data that cannot be read, or that is not what it claims to be."""


class DownloadError(DataError):
    """No mirror delivered a file with the right content."""


class TrackingError(DigitsError):
    """The tracking store cannot be reached or written."""


class TrafficError(DigitsError):
    """The store of served predictions cannot be reached, read or written."""


class FeatureError(DigitsError):
    """The feature store cannot be reached, read or written, or lacks what is asked for."""


class ExportError(DigitsError):
    """The exported graph does not reproduce the trained network."""


class ExplanationError(DigitsError):
    """An attribution method cannot explain this network."""


class DeploymentError(DigitsError):
    """A deployment is not there, does not start, or cannot be changed."""


class LoopError(DigitsError):
    """A loop cannot go on: a step failed, or another loop is at work there."""


class PipelineError(DigitsError):
    """A step of a pipeline failed, or the engine that it should run on cannot be had."""


class RegistryError(DigitsError):
    """A model version or bundle cannot be read, written or trusted."""


class DriftError(DigitsError):
    """Traffic has changed and the answers are worse for it; nothing has failed."""

    exit_code: ClassVar[int] = 10


class CannotTellError(DigitsError):
    """Whether traffic has changed cannot be told; nothing has failed."""

    exit_code: ClassVar[int] = 11


class RejectedError(DigitsError):
    """The gate has judged a model and does not promote it; nothing has failed."""

    exit_code: ClassVar[int] = 12

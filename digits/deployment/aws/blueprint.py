"""What one deployment at SageMaker consists of, in the order in which it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from digits.contract.pointer import Pointed
from digits.deployment.aws.bundle import packed
from digits.deployment.aws.ecr import Image, Repository
from digits.deployment.aws.endpoint import Endpoint
from digits.deployment.aws.guarding import ScaledVariant, alarms
from digits.deployment.aws.hosting import Configuration, LogGroup, Model
from digits.deployment.aws.iam import Role, Statement
from digits.deployment.aws.parts import Part
from digits.deployment.aws.session import Session
from digits.deployment.aws.storage import Bucket, Object
from digits.deployment.aws.variant import RealTime, Serverless
from digits.deployment.engine import Engine
from digits.deployment.target import Order
from digits.errors import DeploymentError
from serving.environment import digests_of
from serving.settings import Settings

TAG = 16  # characters of an image's digest that make its name in the registry
PASSED_ON = {"workers", "threads", "batching", "limits", "log"}  # of the service's settings


@dataclass(frozen=True)
class Wanted:
    """How the endpoint is to be, whichever model it has.

    Attributes:
        name: of the endpoint; what belongs to it is named after it.
        image: of the container, at this machine's Docker engine.
        registry: ``host:port`` of a stand-in for ECR's; None: ECR.
        bucket: for the bundles; None: one of its own.
        runs_on: serverless, or instances.
        log_days: that its log is kept.
        wait_seconds: for AWS to have it answer.
    """

    name: str
    image: str
    registry: str | None
    bucket: str | None
    runs_on: Serverless | RealTime
    log_days: int
    wait_seconds: float


@dataclass(frozen=True)
class Blueprint:
    """The parts of a deployment.

    Attributes:
        before: what the endpoint stands on.
        endpoint: the endpoint.
        after: what is set on it once it is there.
        facts: name of what belongs to this release alone, by what it is.
    """

    before: list[Part]
    endpoint: Endpoint
    after: list[Part]
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> list[Part]:
        """All of them, in the order in which they are made."""
        return [*self.before, self.endpoint, *self.after]


def blueprint(aws: Session, wanted: Wanted, order: Order) -> Blueprint:
    """Return what ``order`` takes at SageMaker; looks at nothing but the bundle and the image.

    Raises:
        DeploymentError: no Docker engine, or no such image.
        RegistryError: the bundle is damaged.
    """
    name, runs_on = wanted.name, wanted.runs_on
    bucket_name = wanted.bucket or f"{name}-{aws.account}-{aws.region}"
    repository = Repository(aws, f"{name}-sagemaker")
    image = _image(aws, repository, wanted)
    key = f"{name}/{order.model.manifest_sha256 or order.model.onnx_sha256}/model.tar.gz"
    bundle = Object(aws, bucket_name, key, packed(order.model.folder))
    log_group = LogGroup(aws, name, days=wanted.log_days)
    role = Role(
        aws,
        f"{name}-sagemaker-{aws.region}",
        service="sagemaker",
        statements=permissions(aws, repository.name, f"{bucket_name}/{name}", log_group.name),
        only_if={"StringEquals": {"aws:SourceAccount": aws.account}},
    )
    environment = environment_of(order.settings, order.model)
    # Of what the image and the bundle are, not of where they are: known before either is there.
    model = Model(
        aws,
        name,
        {"image": image.name, "bundle": bundle.name, "environment": environment},
        partial(_definition, image, bundle, role, environment, isolated=_isolated(runs_on)),
        detail=order.model.version,
    )
    configuration = Configuration(aws, name, runs_on.variant(model.name), detail=str(runs_on))
    watching = alarms(aws, name, runs_on.guardrails) if isinstance(runs_on, RealTime) else []
    endpoint = Endpoint(
        aws,
        name,
        configuration.name,
        update=update(wanted, [each.name for each in watching]),
        wait_seconds=wanted.wait_seconds,
        detail=f"{order.model.version}, {runs_on}",
    )
    own_bucket = [] if wanted.bucket else [Bucket(aws, bucket_name)]
    return Blueprint(
        [repository, image, *own_bucket, bundle, log_group, role, model, *watching, configuration],
        endpoint,
        _scaling(aws, name, runs_on),
        {each.kind: each.name for each in (image, bundle, model, configuration)},
    )


def permissions(aws: Session, repository: str, bundles: str, log_group: str) -> list[Statement]:
    """Return what SageMaker may do in our name: fetch image and bundle, write log and figures.

    Args:
        aws: where.
        repository: of the image.
        bundles: bucket and folder of the bundles.
        log_group: of the endpoint.
    """
    arn, here = f"arn:{aws.partition}", f"{aws.region}:{aws.account}"
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    write = [
        f"logs:{each}"
        for each in ("CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutLogEvents")
    ]
    return [
        _may(["s3:GetObject"], f"{arn}:s3:::{bundles}/*"),
        _may(pull, f"{arn}:ecr:{here}:repository/{repository}"),
        _may(["ecr:GetAuthorizationToken"], "*"),  # AWS knows no narrower one
        _may(write, f"{arn}:logs:{here}:log-group:{log_group}:*"),
        {
            **_may(["cloudwatch:PutMetricData"], "*"),
            "Condition": {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
        },
    ]


def _may(actions: list[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def _image(aws: Session, repository: Repository, wanted: Wanted) -> Image:
    engine = Engine.find()
    found = engine.image_id(wanted.image)
    if found is None:
        raise DeploymentError(
            f"deployment.image: there is no image {wanted.image} here: scripts/image sagemaker"
        )
    tag = found.removeprefix("sha256:")[:TAG]
    return Image(aws, repository.name, found, tag=tag, engine=engine, registry=wanted.registry)


def update(wanted: Wanted, alarms: list[str]) -> dict[str, Any]:
    """Return how an update is done: with guardrails where there are instances to shift between."""
    if isinstance(wanted.runs_on, Serverless):
        return {}
    scaling, longest = wanted.runs_on.scaling, int(wanted.wait_seconds)
    return {
        # The number of instances is the scaling's, where there is one.
        "RetainAllVariantProperties": scaling.is_on,
        "DeploymentConfig": wanted.runs_on.guardrails.update(alarms, longest),
    }


def environment_of(settings: Settings, model: Pointed) -> dict[str, str]:
    """Return what the container is told: see :mod:`serving.container`; none of it is a secret.

    IAM and AWS's own limits are at its door, and it has no disk that stays: of the traffic nothing
    is kept, and there is no second model beside this one.
    """
    told = {**digests_of(model), "DIGITS_SERVING_DEPLOYMENT": "sagemaker"}
    if model.number is not None:
        told["DIGITS_MODEL_VERSION"] = model.version
    chosen = settings.model_dump(mode="json", include=PASSED_ON, exclude_defaults=True)
    for key, value in chosen.items():
        for inner, plain in value.items() if isinstance(value, dict) else [("", value)]:
            name = f"DIGITS_SERVING_{key}__{inner}".rstrip("_").upper()
            told[name] = "null" if plain is None else str(plain)
    return told


def _scaling(aws: Session, endpoint: str, runs_on: Serverless | RealTime) -> list[Part]:
    if isinstance(runs_on, Serverless):
        return []
    scaling = runs_on.scaling
    return [ScaledVariant(aws, endpoint, scaling)] if scaling.is_on else []


def _isolated(runs_on: Serverless | RealTime) -> bool:
    """Whether the container gets no network at all: serverless has no such switch."""
    return isinstance(runs_on, RealTime)


def _definition(
    image: Image, bundle: Object, role: Role, environment: Mapping[str, str], *, isolated: bool
) -> dict[str, Any]:
    container = {"Image": image.uri, "ModelDataUrl": bundle.name, "Environment": environment}
    return {
        "PrimaryContainer": container,
        "ExecutionRoleArn": role.arn,
        "EnableNetworkIsolation": isolated,
    }

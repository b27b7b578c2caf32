"""The policy in docs/deployment/sagemaker.md is what a deployment takes, and no more."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from digits.deployment.aws.sagemaker import SageMaker
from tests.e2e.deployment.sagemaker.conftest import Make, Orders
from tests.e2e.deployment.sagemaker.test_making import ON_INSTANCES

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("credentials"), pytest.mark.timeout(120)]

PAGE = Path(__file__).parents[4] / "docs" / "deployment" / "sagemaker.md"
#: operations whose permission has another name
PERMISSIONS = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "monitoring:PutMetricAlarm": "cloudwatch:PutMetricAlarm",
    "monitoring:DescribeAlarms": "cloudwatch:DescribeAlarms",
    "monitoring:DeleteAlarms": "cloudwatch:DeleteAlarms",
}
#: what no call of ours shows: tags, docker's push, passing on the role, what AWS does in our name
UNSEEN = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",  # a stand-in's registry is asked instead,
    "ecr:GetAuthorizationToken",  # and wants no log-in
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:TagResource",
    "ecr:UploadLayerPart",
    "iam:CreateServiceLinkedRole",
    "iam:PassRole",
    "iam:TagRole",
}


def test_the_policy_of_who_deploys(
    make: Make, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: set[str] = set()
    first, second, _ = orders
    target = make(mode="realtime", realtime=ON_INSTANCES)
    _listen(target, called, monkeypatch)
    target.apply(first)
    # A role that says something else is changed.
    name = target._wanted.name
    target._aws.client("iam").delete_role_policy(
        RoleName=f"{name}-sagemaker-eu-central-1", PolicyName="digits"
    )
    target.apply(second)
    target.rollback()
    target.status()
    target.destroy()

    page = PAGE.read_text(encoding="utf-8")
    policy = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    allowed: set[str] = set()
    for statement in policy["Statement"]:
        actions = statement["Action"]
        allowed |= {actions} if isinstance(actions, str) else set(actions)
    needed = {PERMISSIONS.get(each, each) for each in called}
    needed = {each for each in needed if not each.startswith("sts:")}  # free for everybody
    assert needed <= allowed
    assert allowed - needed == UNSEEN | {"sagemaker:InvokeEndpoint"}


def _listen(target: SageMaker, called: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def note(model: Any, **_: Any) -> None:
        called.add(f"{model.service_model.signing_name}:{model.name}")

    client = target._aws.client

    def listened(service: str) -> Any:
        found = client(service)
        found.meta.events.register("before-call", note, unique_id="a-test")
        return found

    monkeypatch.setattr(target._aws, "client", listened)

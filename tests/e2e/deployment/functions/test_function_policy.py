"""The policy in docs/deployment/lambda.md is what a deployment takes, and no more."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from digits.deployment.aws.function import Lambda

pytestmark = [
    pytest.mark.service,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("credentials", "this_python", "unbuilt"),
]

ROOT = Path(__file__).parents[4]
#: operations whose permission has another name
PERMISSIONS = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
}
#: what no call of these shows: tags, passing on the role, asking
UNSEEN = {
    *("iam:PassRole", "iam:TagRole", "lambda:InvokeFunction"),
    *("lambda:TagResource", "logs:TagResource"),
}


def test_who_deploys_needs_what_the_page_says(target, orders, aws, monkeypatch):
    called: set[str] = set()
    monkeypatch.setenv("DIGITS_API_KEYS", "a-key")
    deployment = target(concurrency=3)
    client = deployment._aws.client

    def listened(service: str) -> Any:
        found = client(service)
        found.meta.events.register("before-call", note, unique_id="a-test")
        return found

    def note(model: Any, **_: Any) -> None:
        called.add(f"{model.service_model.signing_name}:{model.name}")

    def listening(**changes: Any) -> Lambda:
        changed = target(**changes)
        changed._aws = deployment._aws
        return changed

    monkeypatch.setattr(deployment._aws, "client", listened)
    deployment.apply(orders[0])
    deployment._aws.client("iam").delete_role_policy(
        RoleName="digits-lambda-eu-central-1", PolicyName="digits"
    )
    listening(url="keys").apply(orders[0])
    listening(url="keys").apply(orders[1])
    listening().rollback()
    listening().status()
    listening().destroy()
    page = (ROOT / "docs" / "deployment" / "lambda.md").read_text("utf-8")
    policy = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    allowed = {action for each in policy["Statement"] for action in each["Action"]}
    needed = {PERMISSIONS.get(each, each) for each in called}
    assert {each for each in needed if not each.startswith("sts:")} <= allowed
    further = {each for each in allowed - needed if not each.startswith("ecr:")}
    assert further == UNSEEN

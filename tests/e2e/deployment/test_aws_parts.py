"""The role and the repository of a deployment, against AWS's control plane as moto plays it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.deployment.aws.ecr import REPOSITORY, Image, Repository, remove_repository
from digits.deployment.aws.iam import POLICY, ROLE, Role, remove_role
from digits.deployment.aws.parts import made, planned, removed
from digits.deployment.aws.session import Session
from digits.deployment.engine import Engine
from digits.deployment.ledger import Ledger
from digits.errors import DeploymentError
from tests.e2e.deployment import aws_server

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("credentials")]
credentials = aws_server.credentials

READ = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::b/*"]}
WRITE = {"Effect": "Allow", "Action": "logs:PutLogEvents", "Resource": ["*"]}


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with aws_server.running(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


@pytest.fixture
def aws(moto: str) -> Session:
    return Session(endpoint_url=moto)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "deployment")


def test_a_role_is_made_once_changed_when_ordered_otherwise_and_removed(aws, ledger):
    role = Role(aws, "digits-role", service="lambda", statements=[READ])
    assert [each.change for each in made(ledger, [role])] == ["create"]
    assert [each.change for each in made(ledger, [role])] == ["keep"]
    other = Role(aws, "digits-role", service="lambda", statements=[READ, WRITE])
    assert other.detail == "may logs:PutLogEvents, s3:GetObject"
    assert [each.change for each in planned(ledger, [other])] == ["change"]
    made(ledger, [other])
    iam = aws.client("iam")
    found = iam.get_role(RoleName="digits-role")["Role"]
    assert found["Arn"] == role.arn
    assert found["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "Service": "lambda.amazonaws.com"
    }
    policy = iam.get_role_policy(RoleName="digits-role", PolicyName=POLICY)["PolicyDocument"]
    assert policy["Statement"] == [READ, WRITE]
    for _ in range(2):  # what is not there any more is fine
        ledger.making(ROLE, "digits-role")
        removed(ledger, ledger.resources, {ROLE: lambda each: remove_role(aws, each)})
    assert not ledger.resources
    assert Role(aws, "digits-role", service="lambda", statements=[READ]).look() == "create"


def test_a_role_of_somebody_else_is_left_alone(aws, ledger):
    aws.client("iam").create_role(RoleName="theirs", AssumeRolePolicyDocument="{}")
    role = Role(aws, "theirs", service="lambda", statements=[READ])
    with pytest.raises(DeploymentError, match=r"iam-role theirs exists already.*deployment\.name"):
        made(ledger, [role])
    assert not ledger


def test_a_half_made_role_is_finished(aws, ledger):
    role = Role(aws, "half", service="lambda", statements=[READ])
    ledger.making(ROLE, "half")
    aws.client("iam").create_role(
        RoleName="half", AssumeRolePolicyDocument=json.dumps(role.trust())
    )
    assert [each.change for each in made(ledger, [role])] == ["change"]
    assert role.look() == "keep"


def test_a_repository_is_made_private_and_removed_with_what_is_in_it(aws, ledger):
    repository = Repository(aws, "digits", reader="lambda")
    assert [each.change for each in made(ledger, [repository])] == ["create"]
    assert [each.change for each in made(ledger, [repository])] == ["keep"]
    ecr = aws.client("ecr")
    (found,) = ecr.describe_repositories(repositoryNames=["digits"])["repositories"]
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    policy = json.loads(ecr.get_repository_policy(repositoryName="digits")["policyText"])
    assert policy["Statement"][0]["Condition"]["StringEquals"]["aws:SourceAccount"] == aws.account
    removed(ledger, ledger.resources, {REPOSITORY: lambda each: remove_repository(aws, each)})
    assert repository.look() == "create"


def test_no_credentials(moto, monkeypatch, ledger):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    aws = Session(endpoint_url=moto)
    with pytest.raises(DeploymentError, match="No AWS credentials that can be used: set"):
        made(ledger, [Repository(aws, "digits")])
    assert not ledger


def test_a_push_hands_the_password_to_docker_and_keeps_it_nowhere(aws, ledger, tmp_path):
    """A script that writes down what it is given stands for docker."""
    told = tmp_path / "told"
    program = tmp_path / "docker"
    program.write_text(
        f'#!/bin/sh\n[ "$1" != context ] || {{ echo tcp://chosen:1; exit; }}\n'
        f'echo "$@" >>{told}\ncase "$*" in *login*) cat >>{told};; esac\n'
        f'case "$1" in --config) echo "$DOCKER_HOST" >>{told}-host;; esac\n'
    )
    program.chmod(0o755)
    made(ledger, [Repository(aws, "pushed")])
    image = Image(aws, "pushed", "digits-lambda", tag="abc", engine=Engine(str(program)))
    assert image.look() == "create"
    image.make()
    lines = told.read_text().splitlines()
    host = f"{aws.account}.dkr.ecr.eu-central-1.amazonaws.com"
    assert lines[0].endswith(f"login --username AWS --password-stdin {host}")
    password, _, first = lines[1].partition("tag ")
    assert password and first == f"digits-lambda {host}/pushed:abc"
    assert not any(password in each for each in (lines[0], *lines[2:]))
    assert not Path(lines[0].split()[1]).exists()
    assert lines[2].endswith(f"push --quiet {host}/pushed:abc")
    # The engine of the user's context, which an empty folder of docker's does not name.
    assert (tmp_path / "told-host").read_text().split() == ["tcp://chosen:1"] * 2
    with pytest.raises(DeploymentError, match="is not there: action=apply pushes it"):
        _ = image.uri

"""Anything that the OpenAPI description allows, and much that it does not: never a server error."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.settings import Settings, Traffic
from tests.integration.serving.conftest import running

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def described(bundle, tmp_path_factory):
    """The description of a service that keeps its traffic."""
    url = f"sqlite:///{tmp_path_factory.mktemp('fuzz')}/traffic.db"
    settings = Settings(pointer=bundle, port=0, traffic=Traffic(url=url))
    with running(settings) as client:
        yield schemathesis.openapi.from_url(f"{client.url}/openapi.json")


def test_no_request_is_a_server_error(described):
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:

        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case):
            case.call_and_validate(checks=CHECKS, timeout=20)

        ask()

"""How everything that a function is made of is removed again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from digits.deployment.aws.ecr import IMAGE, REPOSITORY, remove_image, remove_repository
from digits.deployment.aws.function_front import ALIAS, URL, remove_alias, remove_url
from digits.deployment.aws.function_parts import FUNCTION, remove_function
from digits.deployment.aws.iam import ROLE, remove_role
from digits.deployment.aws.log_group import LOG, remove_log
from digits.deployment.aws.parts import Remover
from digits.deployment.aws.session import Session
from digits.deployment.aws.storage import BUCKET, OBJECT, remove_bucket, remove_object
from digits.deployment.ledger import Resource


def removers(aws: Session) -> dict[str, Remover]:
    """Return kind -> how it is removed, in the order in which it is to be done."""
    each: dict[str, Callable[[Session, Resource], None]] = {
        URL: remove_url,
        ALIAS: remove_alias,
        FUNCTION: remove_function,
        OBJECT: remove_object,
        BUCKET: remove_bucket,
        IMAGE: remove_image,
        REPOSITORY: remove_repository,
        ROLE: remove_role,
        LOG: remove_log,  # the last: a function that still answers would make it again
    }
    return {kind: partial(remove, aws) for kind, remove in each.items()}

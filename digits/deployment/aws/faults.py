"""What AWS refuses, in words that say what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten
from typing import Any

from digits.errors import DeploymentError

MISSING = frozenset(
    {
        "404",
        "ImageNotFoundException",
        "LayersNotFoundException",
        "NoSuchBucket",
        "NoSuchEntity",
        "NoSuchKey",
        "NoSuchPublicAccessBlockConfiguration",
        "NotFound",
        "ObjectNotFoundException",
        "RepositoryNotFoundException",
        "ResourceNotFound",
        "ResourceNotFoundException",
    }
)
DENIED = frozenset({"403", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
QUOTA = frozenset(
    {
        "CodeStorageExceededException",
        "LimitExceeded",
        "LimitExceededException",
        "ResourceLimitExceeded",
        "ServiceQuotaExceededException",
        "TooManyBuckets",
    }
)
LONGEST = 500  # characters of AWS's own words: it likes to list all that it would have taken
NO_CREDENTIALS = (
    "No AWS credentials that can be used: set AWS_PROFILE (after aws sso login), or "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role gives them"
)


class AwsError(DeploymentError):
    """AWS has refused something.

    Attributes:
        code: its own name for why.
        told: its own words.
        details: the parsed answer.
    """

    def __init__(self, message: str, code: str, told: str, details: dict[str, Any]) -> None:
        self.code, self.told, self.details = code, told, details
        super().__init__(message)

    @property
    def is_missing(self) -> bool:
        """Whether what was asked for is not there."""
        # SageMaker has no code of its own for it.
        return self.code in MISSING or (
            self.code in ("ValidationException", "ValidationError")
            and ("Could not find" in self.told or "does not exist" in self.told)
        )


@contextmanager
def explained() -> Iterator[None]:
    """Turn what boto3 raises into one message that says what to do.

    Raises:
        AwsError: AWS has refused.
        DeploymentError: it could not be asked.
    """
    from botocore import exceptions as of_boto  # takes its time

    try:
        yield
    except of_boto.ClientError as error:
        raise _refusal(error) from error
    except (
        of_boto.NoCredentialsError,
        of_boto.PartialCredentialsError,
        of_boto.CredentialRetrievalError,
        of_boto.SSOError,
        of_boto.ProfileNotFound,
    ) as error:
        raise DeploymentError(f"{NO_CREDENTIALS} ({error})") from error
    except (of_boto.NoRegionError, of_boto.UnknownRegionError) as error:
        raise DeploymentError(
            f"No AWS region: type deployment.region=eu-central-1, or set AWS_REGION ({error})"
        ) from error
    except of_boto.HTTPClientError as error:
        raise DeploymentError(f"AWS does not answer: {error}") from error
    except of_boto.BotoCoreError as error:
        raise DeploymentError(f"AWS cannot be asked: {error}") from error


@contextmanager
def missing_is_fine() -> Iterator[None]:
    """Explain as :func:`explained` does; what is not there is no fault."""
    try:
        with explained():
            yield
    except AwsError as error:
        if not error.is_missing:
            raise


def _refusal(error: Any) -> AwsError:
    found = error.response.get("Error", {})
    code = str(found.get("Code", ""))
    told = shorten(str(found.get("Message", "")), LONGEST, placeholder=" …")
    operation = error.operation_name
    message = f"AWS refuses {operation}: {told or 'it gives no reason'} ({code})"
    if code in DENIED:
        message += ". Give the credentials the permission for it: docs/deployment has the policies"
    elif code in EXPIRED:
        message = f"{NO_CREDENTIALS} ({told})"
    elif code in QUOTA:
        message += (
            ". A quota of the account is used up: ask for more at Service Quotas in the AWS "
            "console, remove what is not needed, or order less"
        )
    return AwsError(message, code, told, error.response)

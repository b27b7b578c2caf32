"""The bucket with the bundles at Amazon S3: private, and only this deployment's."""

from __future__ import annotations

from digits.deployment.aws.faults import AwsError, explained, missing_is_fine
from digits.deployment.aws.parts import Part, Stand, taken
from digits.deployment.aws.session import Session
from digits.deployment.ledger import Resource

BUCKET = "s3-bucket"
OBJECT = "s3-object"
NOT_PUBLIC = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
US_EAST_1 = "us-east-1"  # the one region that must not be named


class Bucket(Part):
    """A bucket that can never be made public; S3 encrypts what is in it.

    Args:
        aws: where.
        name: unique in the whole world.
    """

    kind = BUCKET
    detail = "private, encrypted"

    def __init__(self, aws: Session, name: str) -> None:
        self._aws, self.name = aws, name

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        s3 = self._aws.client("s3")
        try:
            with explained():
                s3.head_bucket(Bucket=self.name, ExpectedBucketOwner=self._aws.account)
        except AwsError as error:
            if error.code == "403":  # of another account, which may even let us in
                raise taken(self.kind, self.name) from error
            if error.is_missing:
                return "create"
            raise
        blocked = None
        with missing_is_fine():
            found = s3.get_public_access_block(Bucket=self.name)
            blocked = found["PublicAccessBlockConfiguration"]
        return "keep" if blocked == NOT_PUBLIC else "change"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        s3, region = self._aws.client("s3"), self._aws.region
        place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        is_new = self.look() == "create"
        with explained():
            if is_new:
                s3.create_bucket(Bucket=self.name, **({} if region == US_EAST_1 else place))
            # The last step: what is cut short before it is changed once more.
            s3.put_public_access_block(Bucket=self.name, PublicAccessBlockConfiguration=NOT_PUBLIC)


class Object(Part):
    """A file in a bucket, under a name that says what is in it: it is never written twice.

    Args:
        aws: where.
        bucket, key: its place.
        content: what is in it.
    """

    kind = OBJECT
    of_content = True

    def __init__(self, aws: Session, bucket: str, key: str, content: bytes) -> None:
        self._aws, self._content = aws, content
        self._place = {"Bucket": bucket, "Key": key, "ExpectedBucketOwner": aws.account}
        self.name = f"s3://{bucket}/{key}"
        self.facts = {"bucket": bucket, "key": key}
        self.detail = f"{len(content) / 1e3:.0f} kB"

    def look(self) -> Stand:
        """See :meth:`Part.look`."""
        try:
            with explained():
                self._aws.client("s3").head_object(**self._place)
        except AwsError as error:
            if error.is_missing or error.code == "403":  # S3's word for both, without ListBucket
                return "create"
            raise
        return "keep"

    def make(self) -> None:
        """See :meth:`Part.make`."""
        with explained():
            self._aws.client("s3").put_object(
                **self._place, Body=self._content, ChecksumAlgorithm="SHA256"
            )


def remove_bucket(aws: Session, resource: Resource) -> None:
    """Remove an empty bucket."""
    with missing_is_fine():
        aws.client("s3").delete_bucket(Bucket=resource.name, ExpectedBucketOwner=aws.account)


def remove_object(aws: Session, resource: Resource) -> None:
    """Remove a file."""
    with missing_is_fine():
        aws.client("s3").delete_object(
            Bucket=resource.facts["bucket"],
            Key=resource.facts["key"],
            ExpectedBucketOwner=aws.account,
        )

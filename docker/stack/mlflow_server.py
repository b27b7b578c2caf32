"""An MLflow server on PostgreSQL with its artifacts in an S3 bucket, which is made where missing.

``MLFLOW_BACKEND`` is the database, without the password (``PGPASSWORD``); ``MLFLOW_BUCKET`` the
bucket; ``MLFLOW_S3_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY`` say where it
is. Clients reach artifacts through the server and hold no key of the store.
"""

from __future__ import annotations

import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

HOSTS = "mlflow:*,localhost:*,127.0.0.1:*"  # others are refused: a page must not reach it by a name
STORE_SECONDS = 60.0


def ensure_bucket(name: str) -> None:
    """Make the bucket unless it is there; wait for a store that is still starting."""
    quick = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1})
    store = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"], config=quick)
    end = time.monotonic() + STORE_SECONDS
    while True:
        try:
            store.head_bucket(Bucket=name)
            return
        except ClientError as error:
            if error.response["Error"]["Code"] != "404":
                sys.exit(f"bucket {name}: {error}")
            store.create_bucket(Bucket=name)
            return
        except BotoCoreError as error:
            if time.monotonic() > end:
                sys.exit(f"MLFLOW_S3_ENDPOINT_URL: no object store answers: {error}")
            time.sleep(1)


if __name__ == "__main__":
    bucket = os.environ["MLFLOW_BUCKET"]
    ensure_bucket(bucket)
    command = ["mlflow", "server", "--backend-store-uri", os.environ["MLFLOW_BACKEND"]]
    command += ["--artifacts-destination", f"s3://{bucket}", "--host", "0.0.0.0", "--port", "5000"]
    command += ["--workers", os.environ.get("MLFLOW_WORKERS", "1"), "--allowed-hosts", HOSTS]
    os.execvp(command[0], command)

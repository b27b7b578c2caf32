"""``python -m serving.health``: exit code 0 while the service of this container is ready."""

from __future__ import annotations

import http.client
import os
import sys

PORT = "DIGITS_SERVING_PORT"
SECONDS = 3.0


def main() -> int:
    """Ask the service; it is in the same network, whatever it is published as."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(os.environ.get(PORT, "8000")), timeout=SECONDS
    )
    try:
        connection.request("GET", "/readyz")
        return int(connection.getresponse().status != http.HTTPStatus.OK)
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())

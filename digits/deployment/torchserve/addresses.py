"""The addresses of a server: chosen before it starts, and kept in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from serving.listening import listen

LOOPBACK = "127.0.0.1"  # nothing but predictions is ever listened for elsewhere


@dataclass(frozen=True)
class Addresses:
    """Where the server listens, as ``http://host:port``.

    Attributes:
        inference: for predictions.
        management: to register versions.
        metrics: for Prometheus.
        grpc_inference, grpc_management: the same by gRPC; TorchServe cannot do without.
    """

    inference: str
    management: str
    metrics: str
    grpc_inference: str
    grpc_management: str

    @classmethod
    def of(cls, facts: Mapping[str, str]) -> Addresses:
        """Return what the ledger has of them."""
        return cls(**facts)

    @property
    def facts(self) -> dict[str, str]:
        """What the ledger is to keep."""
        return asdict(self)

    @property
    def reached(self) -> Addresses:
        """The same as this machine itself reaches them."""
        for every, one in (("0.0.0.0", LOOPBACK), ("[::]", "[::1]")):
            if f"//{every}:" in self.inference:
                return replace(self, inference=self.inference.replace(every, one))
        return self


def choose(host: str, port: int, management_port: int, held: Addresses | None) -> Addresses:
    """Find addresses that can be had; those that a server of ours has ``held`` are had again.

    Raises:
        ConfigError: one is in use; names the key.
    """
    return Addresses(
        _free(host, port, held.inference if held else ""),
        _free(LOOPBACK, management_port, held.management if held else ""),
        _free(LOOPBACK, 0, ""),
        _free(LOOPBACK, 0, ""),
        _free(LOOPBACK, 0, ""),
    )


def _free(host: str, port: int, held: str) -> str:
    written = f"[{host}]" if ":" in host else host
    if held == f"http://{written}:{port}":
        return held
    with listen(host, port) as listener:
        return f"http://{written}:{listener.getsockname()[1]}"

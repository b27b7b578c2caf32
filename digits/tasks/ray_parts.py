"""Parts of a pool asked about under Ray, on the cores of this machine or of a cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from typing import Any

from digits.active.pool import Scored
from digits.active.views import Images, Over, View
from digits.errors import MissingExtraError
from digits.tasks import ray_launcher

OBJECT_STORE = 200 * 2**20  # bytes; the default takes a third of the memory


@contextmanager
def over(address: str | None) -> Iterator[Over]:
    """Give what goes through parts in their order: Ray at an address, else this process.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: Ray cannot be started, or the cluster does not answer.
    """
    if address is None:
        yield map
        return
    if find_spec("ray") is None:
        raise MissingExtraError("tune", "ray", without="ray.address=null")
    import ray

    if ray.is_initialized():  # by the launcher whose job this is
        yield _under_ray
        return
    own: dict[str, Any] = {"object_store_memory": OBJECT_STORE} if address == "local" else {}
    ray_launcher.join(
        {
            "address": address,
            "include_dashboard": False,
            "logging_level": "ERROR",
            "log_to_driver": False,
            **own,
        }
    )
    try:
        yield _under_ray
    finally:
        ray.shutdown()


def _under_ray(view: View, parts: Iterable[Images]) -> Iterator[Scored]:
    import ray

    task = ray.remote(num_cpus=1)(_ask)
    shared = ray.put(view)
    left = iter(parts)
    # A few ahead of those at work: what waits for nobody would fill the object store.
    ahead = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
    going = deque(task.remote(shared, part) for part in islice(left, ahead))
    while going:
        found: Scored = ray.get(going.popleft())
        going.extend(task.remote(shared, part) for part in islice(left, 1))
        yield found


def _ask(view: View, images: Images) -> Scored:
    return view(images)

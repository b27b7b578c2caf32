"""Parts of a pool under Ray come back in their order, as they would in this process."""

from __future__ import annotations

import numpy as np
import pytest

from digits.active.views import PART, Graph, view
from digits.tasks.ray_launcher import ClusterError
from digits.tasks.ray_parts import over


@pytest.fixture
def images(digits):
    count = 2 * PART + 11
    return np.resize(digits.test.images, (count, 28, 28))


def test_ray_says_what_this_process_says(graph, images):
    asked = Graph(graph.read_bytes())
    with over(None) as here:
        expected = view(asked, images, over=here)
    with over("local") as there:
        found = view(asked, images, over=there)
        import ray

        assert ray.is_initialized()
    assert not ray.is_initialized()
    assert len(found) == len(images)
    assert np.allclose(found.probabilities, expected.probabilities, atol=1e-6)


def test_a_cluster_that_does_not_answer_is_named():
    with (
        pytest.raises(ClusterError, match=r"ray\.address: 127\.0\.0\.1:9 cannot be used"),
        over("127.0.0.1:9"),
    ):
        pass

"""Learning rates at the first, highest and last step."""

from __future__ import annotations

import functools

import pytest
import torch

from digits.training import schedules

PEAK = 0.4
ONE_CYCLE = functools.partial(
    schedules.one_cycle, warmup_fraction=0.25, start_factor=0.1, final_factor=0.001
)


def rates(make, steps, epochs=1, optimizer=None):
    """The learning rate of each of ``steps`` batches."""
    optimizer = optimizer or torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    schedule = make(optimizer, total_steps=steps, steps_per_epoch=max(1, steps // epochs))
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_one_cycle_climbs_to_the_peak_and_falls_to_nearly_nothing():
    seen = rates(ONE_CYCLE, 100)
    assert seen[0] == pytest.approx(0.1 * PEAK)
    assert max(seen) == pytest.approx(PEAK)
    assert seen.index(max(seen)) == 24
    assert seen[-1] == pytest.approx(0.1 * PEAK * 0.001)
    assert seen[:25] == sorted(seen[:25])
    assert seen[24:] == sorted(seen[24:], reverse=True)


@pytest.mark.parametrize("warmup", [0.0, 0.2, 0.25, 1 / 3, 0.5, 0.99])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 7])
def test_one_cycle_of_a_few_steps_stays_in_its_bounds(steps, warmup):
    make = functools.partial(ONE_CYCLE, warmup_fraction=warmup)
    seen = rates(make, steps)
    lowest = 0.1 * PEAK * 0.001
    assert all(lowest * 0.999 <= rate <= PEAK * 1.001 for rate in seen)
    assert seen[-1] == pytest.approx(lowest)


def test_one_cycle_leaves_momentum_alone():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK, momentum=0.9)
    schedule = ONE_CYCLE(optimizer, total_steps=8, steps_per_epoch=8)
    for _ in range(8):
        assert optimizer.param_groups[0]["momentum"] == 0.9
        optimizer.step()
        schedule.step()


def test_one_cycle_of_straight_lines_is_half_way_up_in_the_middle_of_the_way_up():
    straight = rates(functools.partial(ONE_CYCLE, shape="linear"), 101)
    curved = rates(functools.partial(ONE_CYCLE, shape="cos"), 101)
    top = straight.index(max(straight))
    middle = (straight[0] + straight[top]) / 2
    assert straight[top // 2] == pytest.approx(middle, rel=0.1)
    assert curved[top // 4] < straight[top // 4]


def test_cosine_halves_the_range_half_way():
    seen = rates(functools.partial(schedules.cosine, final_factor=0.2), 100)
    assert seen[0] == PEAK
    assert seen[50] == pytest.approx(PEAK * 0.6)
    assert seen[-1] == pytest.approx(PEAK * 0.2, rel=0.01)
    assert seen == sorted(seen, reverse=True)


def test_step_multiplies_after_each_epoch():
    seen = rates(functools.partial(schedules.step, gamma=0.5), 6, epochs=3)
    assert seen == pytest.approx([PEAK, PEAK, PEAK / 2, PEAK / 2, PEAK / 4, PEAK / 4])


def test_constant_keeps_the_rate():
    assert rates(schedules.constant, 5) == [PEAK] * 5

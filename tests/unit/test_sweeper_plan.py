"""Which trials a search without a searcher makes of its space."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_plugins.ray_tune_sweeper._plan import Cell, Planned, cells, plan
from hydra_plugins.ray_tune_sweeper._space import Choice, Interval, SpaceError

UNIT = Interval(0.0, 1.0)
TWO = Choice(("1", "2"), listed=True)
THREE = Choice(("a", "b", "c"))


def planned(*spaces, count=None, seed=0, grid_points=None):
    """Plan cells that are told apart by a group `model`, or a single one without groups."""
    groups = [{}] if len(spaces) == 1 else [{"model": f"m{i}"} for i in range(len(spaces))]
    parts = [Cell(*each) for each in zip(groups, spaces, strict=True)]
    return plan(parts, count=count, seed=seed, grid_points=grid_points)


def test_cells_are_every_combination_of_the_groups():
    assert list(cells({})) == [{}]
    both = {"model": Choice(("a", "b")), "data": Choice(("c", "d"))}
    assert list(cells(both)) == [{"model": m, "data": d} for m, d in itertools.product("ab", "cd")]


def test_lists_are_gone_through_in_order_and_numbered_from_zero():
    trials = planned({"x": TWO, "y": Choice(("3", "4"), listed=True)})
    assert trials == [
        Planned(number, {"x": x, "y": y})
        for number, (x, y) in enumerate(itertools.product("12", "34"))
    ]


def test_shuffled_list_has_all_its_values_in_another_order_that_the_seed_decides():
    values = tuple(map(str, range(20)))
    shuffled = {"x": Choice(values, listed=True, shuffled=True)}
    orders = [[each.params["x"] for each in planned(shuffled, seed=seed)] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(values) and orders[0] != list(values)


def test_shuffled_lists_have_orders_of_their_own():
    values = tuple(map(str, range(20)))
    shuffled = Choice(values, listed=True, shuffled=True)
    trials = planned({"x": shuffled, "y": shuffled})
    assert [each.params["x"] for each in trials[::20]] != [each.params["y"] for each in trials[:20]]


def test_lists_beside_an_interval_take_turns():
    trials = planned({"x": TWO, "y": UNIT}, count=5)
    assert [each.params["x"] for each in trials] == ["1", "2", "1", "2", "1"]
    assert len({each.params["y"] for each in trials}) == 5


def test_cells_take_turns_and_a_finished_one_leaves_the_rest_to_the_others():
    trials = planned({"x": TWO}, {"y": UNIT}, count=6)
    assert [each.params["model"] for each in trials] == ["m0", "m1", "m0", "m1", "m1", "m1"]
    assert all(set(each.params) <= {"model", "x", "y"} for each in trials)


def test_group_without_a_space_is_one_trial_of_each_option():
    trials = planned({}, {}, {})
    assert [each.params for each in trials] == [{"model": f"m{i}"} for i in range(3)]


SPACES = st.dictionaries(
    st.sampled_from("abc"),
    st.sampled_from(
        [UNIT, TWO, THREE, Interval(1, 100, integer=True), Interval(1e-4, 1.0, log=True)]
    ),
    min_size=1,
).filter(lambda space: any(each != TWO for each in space.values()))
# Three such spaces list twelve combinations at the most; fewer trials than lists are refused.
COUNTS = st.integers(12, 20)


@settings(max_examples=50)
@given(st.lists(SPACES, min_size=1, max_size=3), COUNTS, st.integers(0, 20))
def test_longer_plan_begins_with_the_shorter_one(spaces, count, more):
    shorter, longer = planned(*spaces, count=count), planned(*spaces, count=count + more)
    assert longer[: len(shorter)] == shorter
    assert [each.number for each in longer] == list(range(len(longer)))


@settings(max_examples=50)
@given(st.lists(SPACES, min_size=1, max_size=3), COUNTS)
def test_no_trial_is_planned_twice(spaces, count):
    trials = [tuple(sorted(each.params.items())) for each in planned(*spaces, count=count)]
    assert len(set(trials)) == len(trials) <= count


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("space", "size"),
    [
        ({"x": THREE}, 3),
        ({"x": THREE, "y": TWO}, 6),
        ({"x": Interval(1, 4, integer=True)}, 4),
        ({"x": Interval(1, 3, integer=True), "y": THREE}, 9),
        ({"x": Interval(1.0, 1.0002)}, 3),  # draws have five digits
    ],
)
def test_finite_space_is_used_up_once(space, size):
    trials = planned(space, count=20)
    assert len({tuple(each.params.items()) for each in trials}) == len(trials) == size


def test_seed_decides_the_draws_and_cells_draw_differently():
    first, again, other = (planned({"x": UNIT}, count=4, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    draws = [each.params["x"] for each in planned({"x": UNIT}, {"x": UNIT}, count=4)]
    assert len(set(draws)) == 4


def test_seed_draws_the_same_trials_in_every_release():
    space = {"x": TWO, "y": UNIT, "z": Interval(1, 9, integer=True)}
    trials = [tuple(each.params.values()) for each in planned(space, count=4, seed=7)]
    # A sweep that is resumed after an upgrade goes on with the trials that it had planned.
    assert trials == [("1", 0.54901, 8), ("2", 0.65375, 8), ("1", 0.012421, 7), ("2", 0.87911, 6)]


def test_grid_goes_through_choices_and_points_of_intervals():
    space = {"x": THREE, "y": UNIT, "z": Interval(0.01, 1.0, log=True)}
    trials = planned(space, grid_points=3)
    expected = itertools.product("abc", (0.0, 0.5, 1.0), (0.01, 0.1, 1.0))
    assert [tuple(each.params.values()) for each in trials] == list(expected)


def test_grid_of_few_integers_names_each_once():
    trials = planned({"x": Interval(1, 3, integer=True)}, grid_points=9)
    assert [each.params["x"] for each in trials] == [1, 2, 3]


def test_interval_without_a_number_of_trials_is_refused():
    with pytest.raises(SpaceError, match=r"x is drawn at random.*num_samples"):
        planned({"x": UNIT})


@pytest.mark.parametrize(
    ("space", "grid_points", "size"),
    [
        ({"x": TWO, "y": Choice(tuple("abc"), listed=True)}, None, 6),
        ({"x": THREE, "y": UNIT}, 2, 6),
        ({"x": Choice(tuple("abcdef"), listed=True), "y": UNIT}, None, 6),
    ],
)
def test_more_combinations_than_trials_are_refused(space, grid_points, size):
    with pytest.raises(SpaceError, match=rf"{size} combinations.*num_samples=5"):
        planned(space, count=5, grid_points=grid_points)


def test_as_many_combinations_as_trials_are_each_tried_once():
    trials = planned({"x": TWO, "y": UNIT}, count=2)
    assert [each.params["x"] for each in trials] == ["1", "2"]


def test_more_groups_than_trials_are_refused():
    with pytest.raises(SpaceError, match=r"3 combinations.*num_samples=2"):
        planned({"x": UNIT}, {"x": UNIT}, {"x": UNIT}, count=2)

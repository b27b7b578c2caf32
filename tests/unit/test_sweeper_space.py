"""The search space: Hydra's override grammar, and what is drawn from it."""

from __future__ import annotations

import math
import random

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from hypothesis import given
from hypothesis import strategies as st

from hydra_plugins.ray_tune_sweeper._space import (
    Choice,
    Interval,
    Parsed,
    SpaceError,
    parse,
    text,
    written,
)

PARSER = OverridesParser.create()


def parsed(*overrides: str) -> Parsed:
    """Parse, in an application whose only config group is `model`."""
    return parse(overrides, parser=PARSER, is_group=lambda key: key == "model")


@pytest.mark.parametrize(
    ("override", "dimension"),
    [
        ("x=1,2", Choice(("1", "2"), listed=True)),
        ("x=null,1", Choice(("null", "1"), listed=True)),
        ("x='a,b',c", Choice(("'a,b'", "c"), listed=True)),
        ("x='1','2'", Choice(("'1'", "'2'"), listed=True)),
        ("x=[1,2],[3]", Choice(("[1,2]", "[3]"), listed=True)),
        ("x={a:1},{b:2}", Choice(("{a:1}", "{b:2}"), listed=True)),
        ("x=sort(3,1,2)", Choice(("1", "2", "3"), listed=True)),
        ("x=shuffle(3,1,2)", Choice(("3", "1", "2"), listed=True, shuffled=True)),
        ("x=choice(a,b)", Choice(("a", "b"))),
        ("x=choice(true,false)", Choice(("True", "False"))),
        ("x=shuffle(choice(a,b))", Choice(("a", "b"), shuffled=True)),
        ("x=range(3)", Choice(("0", "1", "2"))),
        ("x=range(1,7,2)", Choice(("1", "3", "5"))),
        ("x=shuffle(range(3))", Choice(("0", "1", "2"), shuffled=True)),
        ("x=interval(0,1)", Interval(0.0, 1.0)),
        ("x=interval(1,100)", Interval(1.0, 100.0)),
        ("x=int(interval(1,100))", Interval(1, 100, integer=True)),
        ("x=tag(log,interval(1e-4,1e-1))", Interval(1e-4, 1e-1, log=True)),
        ("x=tag(log,int(interval(1,9)))", Interval(1, 9, log=True, integer=True)),
        ("x=int(tag(log,interval(1,9)))", Interval(1, 9, log=True, integer=True)),
    ],
)
def test_grammar_of_dimensions(override, dimension):
    assert parsed(override).dimensions == {"x": dimension}


def test_whole_bounds_of_a_plain_interval_make_no_integers():
    interval = parsed("x=interval(1,100)").dimensions["x"]
    assert all(type(bound) is float for bound in interval.ends())


def test_overrides_are_sorted_into_fixed_searched_and_groups():
    found = parsed("~x", "a.b=3", "+y=1,2", "++z=interval(0,1)", "model=a,b", "c=[1,2]")
    assert found.fixed == ("~x", "a.b=3", "c=[1,2]")
    assert found.dimensions == {"+y": Choice(("1", "2"), listed=True), "++z": Interval(0.0, 1.0)}
    assert found.groups == {"model": Choice(("a", "b"), listed=True)}


def test_group_that_is_not_swept_is_fixed():
    assert parsed("model=a", "x=1,2").fixed == ("model=a",)


def test_later_override_replaces_an_earlier_one():
    assert parsed("x=1,2", "x=interval(0,1)", "x=7") == Parsed(("x=7",))
    assert parsed("model=a,b", "model=c").groups == {}
    assert parsed("x=7", "x=1,2").fixed == ()


@pytest.mark.parametrize(
    ("override", "cause"),
    [
        ("x=interval(1,1)", "empty"),
        ("x=interval(2,1)", "empty"),
        ("x=interval(nan,1)", "empty"),
        ("x=int(interval(0.1,0.9))", "empty"),
        ("x=tag(log,interval(0,1))", "above 0"),
        ("x=tag(log,interval(-1,1))", "above 0"),
        ("x=tag(log,linear,wide,interval(1,2))", "tag of an interval is log, not (linear|wide), "),
        ("x=glob(*)", r"x=glob\(\*\) cannot be searched over"),
        ("x=range(0)", "nothing to choose from"),
        ("model=interval(0,1)", "list of its options"),
    ],
)
def test_space_that_cannot_be_searched_names_its_key(override, cause):
    with pytest.raises(SpaceError, match=cause) as refused:
        parsed(override)
    assert str(refused.value).startswith(override.split("=")[0] + ":")


@pytest.mark.parametrize("bounds", ["0,inf", "-1e400,1", "-inf,inf"])
def test_interval_without_an_end_is_refused(bounds):
    with pytest.raises(SpaceError, match="x"):
        parsed(f"x=interval({bounds})")


@pytest.mark.parametrize("override", ["x=interval(0,1", "x=choice(", "x", "x=interval(a,b)"])
def test_bad_grammar_is_refused(override):
    with pytest.raises(OverrideParseException):
        parsed(override)


@pytest.mark.parametrize(
    ("value", "override"),
    [
        ("interval(0,1)", "x=interval(0,1)"),
        ("tag(log, interval(1e-4, 1e-1))", "x=tag(log, interval(1e-4, 1e-1))"),
        (3, "x=3"),
        (None, "x=null"),
        (True, "x=True"),
        ([1, "a"], "x=[1,a]"),
    ],
)
def test_value_of_a_yaml_mapping_becomes_an_override(value, override):
    assert written("x", value) == override


def intervals() -> st.SearchStrategy[Interval]:
    """Intervals of all four kinds."""
    number = st.floats(-1e12, 1e12)
    above = st.floats(1e-12, 1e12)
    count, natural = st.integers(-(10**9), 10**9), st.integers(1, 10**9)
    return st.one_of(
        st.builds(Interval, number, number),
        st.builds(Interval, above, above, log=st.just(True)),
        st.builds(Interval, count, count, integer=st.just(True)),
        st.builds(Interval, natural, natural, log=st.just(True), integer=st.just(True)),
    ).filter(lambda each: each.low < each.high)


@given(intervals(), st.integers())
def test_draw_lies_in_its_interval_and_has_its_type(interval, seed):
    value = interval.draw(random.Random(seed))
    assert interval.low <= value <= interval.high
    assert type(value) is (int if interval.integer else float)


@given(intervals(), st.integers())
def test_override_of_a_draw_parses_back_to_its_value(interval, seed):
    value = interval.draw(random.Random(seed))
    again = PARSER.parse_override(text("+a.b", value))
    assert again.key_or_group == "a.b"
    assert again.value() == value and type(again.value()) is type(value)


@given(intervals(), st.floats(allow_nan=False, allow_infinity=False))
def test_clipping_is_idempotent_and_in_bounds(interval, value):
    once = interval.clip(value)
    assert interval.low <= once <= interval.high
    assert interval.clip(once) == once


@given(intervals(), st.integers(2, 9))
def test_points_begin_and_end_at_the_bounds(interval, count):
    points = interval.points(count)
    assert len(set(points)) == len(points) <= count
    assert points == sorted(points)
    near = (interval.high - interval.low) * 1e-9
    assert points[0] == pytest.approx(interval.ends()[0], abs=near)
    assert points[-1] == pytest.approx(interval.ends()[1], abs=near)


def test_single_point_is_the_middle():
    assert Interval(0.0, 1.0).points(1) == [0.5]
    assert Interval(0.01, 1.0, log=True).points(1) == [0.1]


LISTED = ["x=1,2", "x='a,b','c'", "x='1',2", "x=null,true,1.5", "x=[1,'a b'],{c:'1,2'}", "x=a b,''"]
CHOSEN = ["x=choice(a,1,true)", "x=choice([1,'a b'],{c:2})", "x=range(0.1,0.5,0.1)"]


@pytest.mark.parametrize("override", [*LISTED, *CHOSEN])
def test_override_of_a_choice_parses_back_to_one_plain_value(override):
    choice = parsed(override).dimensions["x"]
    swept = PARSER.parse_override(override)
    values = swept.sweep_iterator(transformer=lambda each: each)
    for value, drawn in zip(values, choice.values, strict=True):
        again = PARSER.parse_override(text("x", drawn))
        assert not again.is_sweep_override()
        assert again._value == value


@pytest.mark.parametrize("override", ["x=choice('a,b',c)", 'x=choice("it\'s",b)'])
def test_quoted_text_in_a_choice_stays_one_value(override):
    for drawn in parsed(override).dimensions["x"].values:
        assert not PARSER.parse_override(text("x", drawn)).is_sweep_override()


def test_quoted_text_in_a_choice_is_not_read_as_a_number():
    drawn = parsed("x=choice('1','true','null',1)").dimensions["x"].values
    values = [PARSER.parse_override(text("x", each)).value() for each in drawn]
    assert values == ["1", "true", "null", 1]


def test_large_share_of_logarithmic_draws_lies_below_the_arithmetic_middle():
    interval = Interval(1e-4, 1.0, log=True)
    draws = [interval.draw(random.Random(seed)) for seed in range(400)]
    assert sum(draw < 1e-2 for draw in draws) == pytest.approx(200, abs=50)


def test_integers_are_drawn_evenly_bounds_included():
    interval = Interval(1, 4, integer=True)
    draws = [interval.draw(random.Random(seed)) for seed in range(800)]
    assert all(draws.count(value) == pytest.approx(200, abs=50) for value in (1, 2, 3, 4))


def test_integers_of_a_logarithmic_interval_are_drawn_evenly_by_their_logarithms():
    interval = Interval(2, 8, log=True, integer=True)
    draws = [interval.draw(random.Random(seed)) for seed in range(2000)]
    for value in range(2, 9):
        share = math.log((value + 1) / value) / math.log(9 / 2)
        assert draws.count(value) / 2000 == pytest.approx(share, abs=0.03)

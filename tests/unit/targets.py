"""Toy targets for the tests of the configuration: nothing here imports a heavy library."""

from __future__ import annotations

import enum
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import Field

from digits.errors import DataError

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypeCheckers

__all__ = ["os"]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Shape:
    def __init__(self, size: Annotated[float, Field(gt=0)] = 1.0, sides: int = 4) -> None:
        if sides == 13:
            raise ValueError(f"sides cannot be {sides}\nbad luck")
        self.size = size
        self.sides = sides


class Square(Shape):
    def __init__(self, *, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name


class Tile(Square):
    """A class without a constructor of its own."""


class Bag:
    def __init__(self, **anything: Any) -> None:
        self.content = anything


class Sound(Protocol):
    def __call__(self, volume: int) -> str: ...


class Box:
    def __init__(self, shapes: Mapping[str, Shape], first: Shape | None = None) -> None:
        self.shapes = shapes
        self.first = first


class Row:
    def __init__(self, shapes: Sequence[Shape] = ()) -> None:
        self.shapes = shapes


@dataclass(frozen=True)
class Point:
    x: Annotated[int, Field(ge=0, le=9)]
    y: float | None = None


class Missing:
    def __init__(self, path: str) -> None:
        raise DataError(f"{path} is not there")


class Hollow:
    """Its parameters have annotations of every kind."""

    def __init__(  # type: ignore[no-untyped-def]
        self,
        flag: bool = False,
        count: int = 0,
        ratio: float = 0.0,
        share: Annotated[float, Field(ge=0, lt=1)] | None = None,
        text: str = "",
        either: int | Sequence[int] | None = None,
        pair: tuple[float, float] = (0.0, 1.0),
        numbers: list[float] | None = None,
        mode: Literal["fast", "slow"] = "fast",
        colour: Colour = Colour.RED,
        table: dict[str, int] | None = None,
        path: Path | str = ".",
        call: Callable[[], None] | None = None,
        sound: Sound | None = None,
        odd: OnlyForTypeCheckers | None = None,
        free=None,
        shape: Shape | None = None,
        modes: Sequence[Literal["fast", "slow"]] = (),
        colours: Sequence[Colour] = (),
        words: Sequence[Annotated[str, Field(min_length=2)]] = (),
        few: Annotated[list[int], Field(min_length=1)] | None = None,
        even: Annotated[float, Field(multiple_of=2.0)] = 0.0,
        half: Annotated[float, Field(le=0.5)] = 0.0,
        tag: Annotated[str, Field(max_length=3, pattern="^a")] = "a",
        side: Shape | int = 1,
        loose: float = None,  # type: ignore[assignment]  # noqa: RUF013  (as third parties write)
    ) -> None:
        self.__dict__.update(locals())


def run(shape: Shape, *, name: str = "run", box: Box | None = None, **rest: Any) -> str:
    return name


def task(
    shape: Shape | None = None,
    box: Box | None = None,
    row: Row | None = None,
    point: Point | None = None,
    hollow: Hollow | None = None,
    bag: Bag | None = None,
    rate: Annotated[float, Field(gt=0)] = 1.0,
    seed: int = 0,
    values: Sequence[int] = (),
    make: Callable[..., Shape] | None = None,
) -> dict[str, Any]:
    return dict(locals())


def gather(first: int, *shapes: Shape) -> Row:
    return Row(shapes)


def square(size: float = 1.0) -> Square:
    return Square(name="made", size=size)


@functools.wraps(square)
def wrapped(*args: Any, **kwargs: Any) -> Square:
    return square(*args, **kwargs)

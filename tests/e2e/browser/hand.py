"""A hand that writes: strokes as a person makes them, on the page or on a photographed sheet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Page

Stroke = list[tuple[float, float]]
#: places as shares of the paper's side
DIGITS: dict[int, list[Stroke]] = {
    0: [[(0.52, 0.2), (0.38, 0.27), (0.31, 0.45), (0.33, 0.65), (0.43, 0.79), (0.55, 0.79),
         (0.66, 0.66), (0.69, 0.45), (0.63, 0.27), (0.52, 0.2)]],
    3: [[(0.32, 0.27), (0.43, 0.2), (0.57, 0.2), (0.66, 0.29), (0.62, 0.41), (0.48, 0.48),
         (0.62, 0.54), (0.69, 0.65), (0.63, 0.77), (0.47, 0.82), (0.31, 0.75)]],
    4: [[(0.4, 0.2), (0.31, 0.52), (0.7, 0.52)], [(0.62, 0.3), (0.57, 0.83)]],
    7: [[(0.3, 0.24), (0.7, 0.24), (0.6, 0.43), (0.51, 0.62), (0.45, 0.8)]],
}  # fmt: skip
SCRIBBLE: list[Stroke] = [
    [(0.1, 0.1), (0.9, 0.2), (0.1, 0.4), (0.9, 0.5), (0.1, 0.7), (0.9, 0.9)],
    [(0.1, 0.9), (0.5, 0.1), (0.9, 0.9), (0.2, 0.5), (0.8, 0.3)],
]


def write(page: Page, what: int | list[Stroke]) -> None:
    """Write a digit, or other strokes, with the mouse."""
    for stroke in _places(page, DIGITS[what] if isinstance(what, int) else what):
        page.mouse.move(*stroke[0])
        page.mouse.down()
        for place in stroke[1:]:
            page.mouse.move(*place, steps=5)
        page.mouse.up()


def touch(page: Page, digit: int) -> None:
    """Write a digit with a finger."""
    finger = page.context.new_cdp_session(page)

    def send(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y} for x, y in places]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for stroke in _places(page, DIGITS[digit]):
        send("touchStart", stroke[0])
        for start, end in pairwise(stroke):
            for part in (0.25, 0.5, 0.75, 1.0):
                x, y = (a + part * (b - a) for a, b in zip(start, end, strict=True))
                send("touchMove", (x, y))
        send("touchEnd")


def _places(page: Page, strokes: list[Stroke]) -> list[Stroke]:
    """Return the strokes in pixels of the window."""
    box = page.locator("#paper").bounding_box()
    assert box is not None
    return [
        [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        for stroke in strokes
    ]


def settle(page: Page) -> int | None:
    """Wait for the answer to what is written; None: it is not sure that this is a digit."""
    page.wait_for_selector("#announce:not(:empty)", state="attached")
    text = page.locator("#digit").text_content()
    return None if text in ("", "?", None) else int(text)


def photograph(digit: int, seed: int) -> Image.Image:
    """A digit in grey pencil on grey paper, seen from one side, in the shadow of a hand."""
    random = np.random.default_rng(seed)
    side = 900
    sheet = Image.new("L", (side, side), 205)
    pencil = ImageDraw.Draw(sheet)
    for stroke in DIGITS[digit]:
        places = [(x * side, y * side) for x, y in stroke]
        pencil.line(places, fill=70, width=38, joint="curve")
        for x, y in places:
            pencil.ellipse((x - 19, y - 19, x + 19, y + 19), fill=70)
    # The corners of the photograph on the sheet: the camera is held at an angle.
    corners = (40, 90, 90, side - 20, side - 110, side - 60, side - 30, 30)
    seen = sheet.transform((1000, 750), Image.Transform.QUAD, corners, Image.Resampling.BILINEAR)
    light = np.asarray(seen.filter(ImageFilter.GaussianBlur(1.5)), np.float32)
    down, right = np.mgrid[0:750, 0:1000]
    shadow = 1 - 0.25 / (1 + np.exp((right + 0.4 * down - 900) / 90))
    grain = random.normal(0, 4, light.shape)
    return Image.fromarray((light * shadow + grain).clip(0, 255).astype(np.uint8))

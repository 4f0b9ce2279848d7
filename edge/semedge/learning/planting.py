"""Defects planted into normal frames, to see which variant of the detector finds them.

Nobody has pictures of defects when a material is learned. These are made of the material itself, as
in CutPaste (Li et al., 2021) and NSA (Schlüter et al., 2022), or imitate what occurs on any line:
scratches, specks, smoothed, shaded and bent areas. They are hard to see but visible, and show which
variant suits a material, not how many real defects it will find.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import AnyImage, GrayImage
from semedge.core.images import to_gray
from semedge.core.view import mask_for

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
Window = tuple[slice, slice]
T = TypeVar("T")

LEAST_CONTRAST = 0.03
"""A frame's contrast counts as at least this share of the range, for flat material."""
ACTIVITY_STEP_PX = 8
MOST_DRAWS = 50
"""Tries to find a piece of a frame that shows nothing of what is left out."""


@dataclass(frozen=True)
class _Area:
    """A part of a frame: 1 inside, 0 outside.

    Attributes
    ----------
    window
        Rows and columns around it.
    share
        How much each pixel of the window is inside.
    """

    window: Window
    share: Float


@dataclass(frozen=True)
class _Canvas:
    """A frame that a defect is planted into.

    Attributes
    ----------
    values
        Gray values `(height, width)`, float32.
    other
        Gray values of another normal frame.
    contrast
        Standard deviation of the frame's gray values.
    random
        Source of places, sizes and shapes.
    activity
        How likely a place is to get a defect, on every 8th pixel: the more there is to see, the
        likelier, as defects of an object lie on the object.
    hidden
        True where nothing is copied from the other frame; None where everything may be.
    """

    values: Float
    other: Float
    contrast: float
    random: np.random.Generator
    activity: Float
    hidden: Mask | None

    @property
    def side_px(self) -> int:
        """Length of the shorter side."""
        return min(self.values.shape)

    def area(self, low: float, high: float) -> _Area:
        """An irregular area whose side is a share of the shorter side."""
        side_px = self.side_px * self.random.uniform(low, high)
        return _irregular_area(self.values.shape, self.place(), side_px, self.random)

    def place(self) -> tuple[float, float]:
        """Row and column of a pixel."""
        chosen = int(self.random.choice(self.activity.size, p=self.activity.ravel()))
        row, column = divmod(chosen, self.activity.shape[1])
        offset = self.random.uniform(0, ACTIVITY_STEP_PX, 2)
        height, width = self.values.shape
        return (
            min(row * ACTIVITY_STEP_PX + offset[0], height - 1),
            min(column * ACTIVITY_STEP_PX + offset[1], width - 1),
        )

    def strength(self, low: float, high: float) -> float:
        """A darker or brighter difference, in contrasts."""
        return float(self.random.choice((-1, 1)) * self.random.uniform(low, high) * self.contrast)


def plant(
    picture: AnyImage,
    other: AnyImage,
    kind: str,
    random: np.random.Generator,
    hidden: Mask | None = None,
) -> AnyImage:
    """The frame with one defect of a kind of `KINDS`, of the same type.

    A colour image gets the same defect in each of its channels.

    Parameters
    ----------
    picture, other
        Two normal frames, both gray or both in colour.
    kind
        The kind of defect.
    random
        Decides on place, size and contrast.
    hidden
        True where frames of its shape are not judged: the defect begins elsewhere, and nothing is
        copied from there.
    """
    largest = np.iinfo(picture.dtype).max
    values = to_gray(picture).astype(np.float32)
    unjudged, unshown = (_mask_of(each, hidden) for each in (picture, other))
    judged = values if unjudged is None else values[~unjudged]
    contrast = max(float(judged.std()), LEAST_CONTRAST * largest)
    activity = _activity(values, unjudged)

    def planted(channel: GrayImage, of_other: GrayImage, draws: np.random.Generator) -> GrayImage:
        values, others = channel.astype(np.float32), of_other.astype(np.float32)
        canvas = _Canvas(values, others, contrast, draws, activity, unshown)
        result: Any = np.clip(np.round(KINDS[kind](canvas)), 0, largest).astype(picture.dtype)
        return np.asarray(result)

    if picture.ndim == 2:
        return planted(picture, other, random)
    before = copy.deepcopy(random)
    channels = [
        planted(picture[..., at], other[..., at], random if at == 0 else copy.deepcopy(before))
        for at in range(picture.shape[2])
    ]
    together: Any = np.stack(channels, axis=-1)
    return np.asarray(together)


def _pasted(canvas: _Canvas) -> Float:
    """A piece of another frame, in most cases turned by right angles."""
    random, values = canvas.random, canvas.values.copy()
    side_px = max(2, int(canvas.side_px * random.uniform(0.05, 0.14)))
    turns = int(random.integers(1, 4)) if random.random() < 0.7 else 0
    source = np.rot90(canvas.other, turns)
    hidden = None if canvas.hidden is None else np.rot90(canvas.hidden, turns)

    def draw() -> Window:
        top, left = (int(random.integers(0, length - side_px + 1)) for length in source.shape)
        return slice(top, top + side_px), slice(left, left + side_px)

    piece = source[_drawn(draw, lambda window: hidden is None or not hidden[window].any())]
    top, left = (
        int(np.clip(at - side_px / 2, 0, length - side_px))
        for at, length in zip(canvas.place(), values.shape, strict=True)
    )
    middle = (side_px / 2, side_px / 2)
    area = _irregular_area((side_px, side_px), middle, 0.67 * side_px, random)
    target = values[top : top + side_px, left : left + side_px]
    target[area.window] += area.share * (piece - target)[area.window]
    return values


def _blended(canvas: _Canvas) -> Float:
    """Another place of the material, blended in by 40 to 100 %."""
    area = canvas.area(0.05, 0.15)
    weight = np.float32(canvas.random.uniform(0.4, 1))
    height, width = canvas.values.shape
    hidden = None if canvas.hidden is None else _resized(canvas.hidden, (width, height))

    def draw() -> tuple[int, int]:
        return int(canvas.random.integers(height)), int(canvas.random.integers(width))

    def is_shown(shift: tuple[int, int]) -> bool:
        return hidden is None or not np.roll(hidden, shift, axis=(0, 1))[area.window].any()

    other: Any = cv2.resize(canvas.other, (width, height), interpolation=cv2.INTER_LINEAR)
    moved = np.roll(other, _drawn(draw, is_shown), axis=(0, 1))[area.window]
    return _added(canvas, area, weight * (moved - canvas.values[area.window]))


def _scratched(canvas: _Canvas) -> Float:
    """A thin line of one to three pixels that bends at random."""
    random = canvas.random
    height, width = canvas.values.shape
    line = np.zeros((height, width), np.uint8)
    length_px = canvas.side_px * random.uniform(0.08, 0.35)
    place = np.array(canvas.place()[::-1])
    direction = random.uniform(0, 2 * np.pi)
    places = [place]
    for _ in range(int(random.integers(2, 7))):
        place = place + length_px / 5 * np.array([np.cos(direction), np.sin(direction)])
        places.append(place)
        direction += random.normal(0, 0.3)
    points = np.array(places, np.int32)
    cv2.polylines(line, [points], False, 255, int(random.integers(1, 4)), cv2.LINE_AA)
    return canvas.values + line / np.float32(255) * np.float32(canvas.strength(0.6, 2.2))


def _smoothed(canvas: _Canvas) -> Float:
    """An area without its texture."""
    area = canvas.area(0.05, 0.12)
    there = canvas.values[area.window]
    blurred: Any = cv2.GaussianBlur(there, (0, 0), canvas.random.uniform(2, 5))
    return _added(canvas, area, blurred - there)


def _specked(canvas: _Canvas) -> Float:
    """A small dark or bright speck."""
    return _added(canvas, canvas.area(0.015, 0.04), np.float32(canvas.strength(1, 2.5)))


def _shaded(canvas: _Canvas) -> Float:
    """A wide area that is a little darker or brighter, with a soft border."""
    area = canvas.area(0.08, 0.25)
    share: Any = cv2.GaussianBlur(area.share, (0, 0), max(0.5, canvas.side_px / 100))
    return _added(canvas, _Area(area.window, share), np.float32(canvas.strength(0.5, 1.3)))


def _bent(canvas: _Canvas) -> Float:
    """An area that is moved aside."""
    random = canvas.random
    radius_px = canvas.side_px * random.uniform(0.05, 0.12)
    y_px, x_px = canvas.place()
    window = _window(canvas.values.shape, (y_px, x_px), 3 * radius_px)
    rows, columns = _pixels(window)
    near = np.exp(-((rows - y_px) ** 2 + (columns - x_px) ** 2) / (radius_px**2 / 2))
    shift_px = near * np.float32(radius_px * random.uniform(0.2, 0.5))
    direction = random.uniform(0, 2 * np.pi)
    bent: Any = cv2.remap(
        canvas.values,
        (columns + shift_px * np.cos(direction)).astype(np.float32),
        (rows + shift_px * np.sin(direction)).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    values = canvas.values.copy()
    values[window] = bent
    return values


KINDS: dict[str, Callable[[_Canvas], Float]] = {
    "pasted": _pasted,
    "blended": _blended,
    "scratched": _scratched,
    "smoothed": _smoothed,
    "specked": _specked,
    "shaded": _shaded,
    "bent": _bent,
}
"""Kinds of defects, by their names."""


def _mask_of(picture: AnyImage, mask: Mask | None) -> Mask | None:
    """The mask, where it is of the image's shape and leaves something."""
    fitting = mask_for(picture.shape, mask)
    return None if fitting is None or fitting.all() else fitting


def _resized(mask: Mask, size: tuple[int, int]) -> Mask:
    resized: Any = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, bool)


def _drawn(draw: Callable[[], T], suits: Callable[[T], bool]) -> T:
    """The first of some draws that suits, or the last one where none does."""
    drawn = draw()
    for _ in range(MOST_DRAWS):
        if suits(drawn):
            break
        drawn = draw()
    return drawn


def _irregular_area(
    shape: tuple[int, ...],
    place: tuple[float, float],
    side_px: float,
    random: np.random.Generator,
) -> _Area:
    """An area around a place, about as large as a square of this side, with a soft border."""
    radius_px = max(1.5, side_px / np.sqrt(np.pi))
    y_px, x_px = place
    angle, flatness = random.uniform(0, np.pi), random.uniform(0.5, 1)
    window = _window(shape, place, 3 * radius_px + 2)
    rows, columns = _pixels(window)
    along = (columns - x_px) * np.cos(angle) + (rows - y_px) * np.sin(angle)
    across = (rows - y_px) * np.cos(angle) - (columns - x_px) * np.sin(angle)
    noise = random.standard_normal(rows.shape).astype(np.float32)
    rough: Any = cv2.GaussianBlur(noise, (0, 0), max(1.5, radius_px / 3))
    rough = rough / max(float(rough.std()), 1e-6)
    distance = np.hypot(
        along / (radius_px / np.sqrt(flatness)), across / (radius_px * np.sqrt(flatness))
    )
    inside: Float = np.clip((1.08 - distance - 0.25 * rough) / 0.16, 0, 1).astype(np.float32)
    return _Area(window, inside)


def _added(canvas: _Canvas, area: _Area, difference: Float | np.float32) -> Float:
    """The frame with a difference in an area."""
    values = canvas.values.copy()
    values[area.window] += area.share * difference
    return values


def _window(shape: tuple[int, ...], place: tuple[float, float], reach_px: float) -> Window:
    """The part of a frame within a reach of a place."""
    rows, columns = (
        slice(max(0, int(at - reach_px)), min(length, int(at + reach_px) + 2))
        for at, length in zip(place, shape, strict=True)
    )
    return rows, columns


def _pixels(window: Window) -> tuple[Float, Float]:
    """Row and column of each pixel of a window."""
    rows, columns = np.mgrid[window].astype(np.float32)
    return rows, columns


def _activity(gray: Float, unjudged: Mask | None) -> Float:
    """Probability of each 8x8 px of the frame to get a defect; the sum is 1.

    Half of it is spread evenly, half by the contrast of what lies there; 0 where a pixel is not
    judged, unless every one has such a pixel.
    """
    step = ACTIVITY_STEP_PX
    below, right = (-side % step for side in gray.shape)
    whole: Any = cv2.copyMakeBorder(gray, 0, below, 0, right, cv2.BORDER_REPLICATE)
    size = (whole.shape[1] // step, whole.shape[0] // step)
    mean, squares = (
        np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.float64)
        for each in (whole, whole * whole)
    )
    contrast: Any = cv2.GaussianBlur(np.sqrt(np.maximum(squares - mean**2, 0)), (0, 0), 1)
    even = np.full_like(contrast, 1 / contrast.size)
    if unjudged is not None:
        padded = np.pad(unjudged, ((0, below), (0, right)), mode="edge")
        blocks = padded.reshape(size[1], step, size[0], step).any(axis=(1, 3))
        if not blocks.all():
            contrast[blocks], even[blocks] = 0, 0
    total = contrast.sum()
    shares: Float = 0.5 * even + 0.5 * (contrast / total if total > 0 else even)
    return shares / shares.sum()

"""A simulated line: electrospun nanofibres as a scanning electron microscope shows them.

Layers of random curved fibres lie on one another; deeper layers are darker and out of focus. Now
and then there is a defect: a bead on a fibre, a film that fills the voids, a speck on top. Frame n
of a line is a function of the line's seed and n alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

DefectKind = Literal["bead", "film", "speck"]
KINDS: tuple[DefectKind, ...] = ("bead", "film", "speck")

FIBRE_WIDTH_PX = 9.0
FIBRE_WIDTH_DEVIATION_PX = 2.2
SEGMENT_PX = 40.0
CURVATURE_RAD = 0.05
SUBPIXEL_BITS = 4

LAYERS = (0.22, 0.38, 0.62, 0.88)
"""Brightness of the layers, from the deepest to the top one."""
LAYER_BLUR_PX = (1.2, 0.8, 0.5)
"""Blur of what lies below, each time another layer is added on top."""
FIBRE_SPACING_PX = 30.0
"""Mean distance between the parallel fibres of a layer, if they were parallel."""
BACKGROUND = 0.05
PROFILE = ((1.0, 0.78), (0.62, 1.0))
"""Strokes of a fibre: share of its width, share of its brightness."""

SHOT_NOISE = 0.035
READ_NOISE = 0.012
OPTICS_BLUR_PX = 0.7

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class PlantedDefect:
    """A defect of a simulated frame.

    Attributes
    ----------
    kind
        bead, film or speck.
    center_px
        Its centre, `(x, y)`.
    extent_px
        Its largest radius.
    area_px
        Pixels of it that can be seen.
    """

    kind: DefectKind
    center_px: tuple[float, float]
    extent_px: float
    area_px: int


@dataclass(frozen=True)
class SimulatedFrame:
    """A frame with its ground truth.

    Attributes
    ----------
    image
        uint8, shape `(height, width)`.
    mask
        True where a defect can be seen, same shape.
    defects
        The planted defects; none in a normal frame.
    """

    image: NDArray[np.uint8]
    mask: Mask
    defects: tuple[PlantedDefect, ...]


@dataclass(frozen=True)
class SimulatedLine:
    """A line that makes simulated frames.

    Attributes
    ----------
    seed
        Seed of the line; lines with different seeds have different frames.
    shape
        Height and width of a frame in pixels.
    defect_rate
        Share of the frames that carry a defect.
    kinds
        Kinds of defects that occur.

    Examples
    --------
    >>> SimulatedLine(seed=1, defect_rate=1.0).frame(0).mask.any()
    np.True_
    """

    seed: int
    shape: tuple[int, int] = (384, 512)
    defect_rate: float = 0.0
    kinds: tuple[DefectKind, ...] = KINDS

    def frame(self, sequence: int) -> SimulatedFrame:
        """Frame number `sequence`."""
        texture = np.random.default_rng([self.seed, sequence, 0])
        chance = np.random.default_rng([self.seed, sequence, 1])
        lower, scene, covered = _lay_fibres(texture, self.shape)
        mask = np.zeros(self.shape, bool)
        defects: tuple[PlantedDefect, ...] = ()
        if chance.random() < self.defect_rate:
            kind = self.kinds[int(chance.integers(len(self.kinds)))]
            scene, mask, defect = _plant(kind, chance, lower, scene, covered)
            defects = (defect,)
        return SimulatedFrame(_expose(texture, scene), mask, defects)


def _lay_fibres(
    random: np.random.Generator, shape: tuple[int, int]
) -> tuple[FloatImage, FloatImage, Mask]:
    """The scene below the top layer, the whole scene, and where the top layer covers it."""
    scene = np.full(shape, BACKGROUND, np.float32)
    lower = scene
    covered = np.zeros(shape, np.uint8)
    for index, brightness in enumerate(LAYERS):
        if index:
            scene = _blurred(scene, LAYER_BLUR_PX[index - 1])
        is_top = index == len(LAYERS) - 1
        if is_top:
            lower = scene.copy()
        for points, width_px in _fibres(random, shape):
            tone = brightness * random.uniform(0.82, 1.12)
            for share, shade in PROFILE:
                _stroke(scene, points, width_px * share, tone * shade)
            if is_top:
                _stroke(covered, points, width_px + 1.0, 1)
    return lower, scene, covered.astype(bool)


def _fibres(
    random: np.random.Generator, shape: tuple[int, int]
) -> list[tuple[NDArray[np.float64], float]]:
    """Paths `(points, 2)` that cross the frame, with their widths."""
    height, width = shape
    reach_px = float(np.hypot(height, width)) / 2 + FIBRE_WIDTH_PX
    count = round(2 * reach_px / FIBRE_SPACING_PX)
    steps = int(2 * reach_px / SEGMENT_PX) + 2
    fibres = []
    for _ in range(count):
        angle = random.uniform(0, np.pi)
        offset_px = random.uniform(-reach_px, reach_px)
        bends = angle + np.cumsum(random.normal(0, CURVATURE_RAD, steps))
        bends -= bends[steps // 2] - angle
        path = np.cumsum(np.stack([np.cos(bends), np.sin(bends)], axis=1) * SEGMENT_PX, axis=0)
        middle = np.array(
            [width / 2 - np.sin(angle) * offset_px, height / 2 + np.cos(angle) * offset_px]
        )
        width_px = max(4.0, random.normal(FIBRE_WIDTH_PX, FIBRE_WIDTH_DEVIATION_PX))
        fibres.append((path - path[steps // 2] + middle, width_px))
    return fibres


def _stroke(
    image: FloatImage | NDArray[np.uint8],
    points: NDArray[np.float64],
    width_px: float,
    value: float,
) -> None:
    scaled = np.round(points * 2**SUBPIXEL_BITS).astype(np.int32)
    thickness_px = max(1, round(width_px))
    cv2.polylines(image, [scaled], False, value, thickness_px, cv2.LINE_8, SUBPIXEL_BITS)


def _plant(
    kind: DefectKind,
    random: np.random.Generator,
    lower: FloatImage,
    scene: FloatImage,
    covered: Mask,
) -> tuple[FloatImage, Mask, PlantedDefect]:
    """The scene with a defect in it, the defect's visible mask, and its description."""
    if kind == "film":
        blob, center_px, extent_px = _blob(random, lower.shape, (45.0, 75.0), roughness=0.4)
        tone = np.float32(random.uniform(0.50, 0.68)) + np.float32(0.06) * _slope(
            random, lower.shape
        )
        scene = np.where(covered, scene, _blend(lower, tone, blob))
        mask = (blob > 0.5) & ~covered
    else:
        if kind == "bead":
            blob, center_px, extent_px = _spindle(random, scene.shape)
            distance = cv2.distanceTransform((blob > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
            dome = np.sqrt(np.clip(distance / max(float(distance.max()), 1.0), 0, 1))
            tone = 0.66 + 0.26 * dome + 0.04 * _slope(random, scene.shape)
        else:
            blob, center_px, extent_px = _blob(random, scene.shape, (16.0, 24.0), roughness=0.25)
            halo = _blurred(blob, 8.0)
            scene = scene * (1.0 - 0.8 * halo)
            tone = np.full(scene.shape, random.uniform(0.93, 1.0), np.float32)
        scene = _blend(scene, tone, blob)
        mask = blob > 0.5
    return scene, mask, PlantedDefect(kind, center_px, extent_px, int(mask.sum()))


def _blob(
    random: np.random.Generator,
    shape: tuple[int, ...],
    radii_px: tuple[float, float],
    roughness: float,
) -> tuple[FloatImage, tuple[float, float], float]:
    """A rounded random outline: coverage in [0, 1], centre, largest radius."""
    radius_px = random.uniform(*radii_px)
    center = _center(random, shape, radius_px)
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    outline = np.ones_like(angles)
    for order in range(2, 6):
        weight = random.normal(0, roughness / order)
        outline += weight * np.cos(order * angles + random.uniform(0, 2 * np.pi))
    radii = radius_px * np.clip(outline, 0.35, 1.6)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None] + center
    return _filled(shape, points), (float(center[0]), float(center[1])), float(radii.max())


def _spindle(
    random: np.random.Generator, shape: tuple[int, ...]
) -> tuple[FloatImage, tuple[float, float], float]:
    """A bead stretched along its fibre."""
    minor_px = random.uniform(20.0, 32.0)
    major_px = minor_px * random.uniform(1.2, 2.0)
    center = _center(random, shape, major_px)
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    turn = random.uniform(0, np.pi)
    along, across = major_px * np.cos(angles), minor_px * np.sin(angles)
    points = np.stack(
        [
            along * np.cos(turn) - across * np.sin(turn),
            along * np.sin(turn) + across * np.cos(turn),
        ],
        axis=1,
    )
    center_px = (float(center[0]), float(center[1]))
    return _filled(shape, points + center), center_px, major_px


def _center(
    random: np.random.Generator, shape: tuple[int, ...], extent_px: float
) -> NDArray[np.float64]:
    """A point whose defect lies inside the frame where the frame is large enough."""
    height, width = shape
    margin_x, margin_y = min(extent_px, width / 2), min(extent_px, height / 2)
    return np.array(
        [random.uniform(margin_x, width - margin_x), random.uniform(margin_y, height - margin_y)]
    )


def _filled(shape: tuple[int, ...], points: NDArray[np.float64]) -> FloatImage:
    canvas = np.zeros(shape, np.uint8)
    scaled = np.round(points * 2**SUBPIXEL_BITS).astype(np.int32)
    cv2.fillPoly(canvas, [scaled], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    return _blurred(canvas.astype(np.float32) / np.float32(255), 0.8)


def _slope(random: np.random.Generator, shape: tuple[int, ...]) -> FloatImage:
    """A plane from -1 to 1 across the frame in a random direction."""
    angle = random.uniform(0, 2 * np.pi)
    rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, shape[1], dtype=np.float32)
    plane: FloatImage = (np.sin(angle) * rows + np.cos(angle) * columns).astype(np.float32)
    return plane


def _blend(image: FloatImage, tone: FloatImage, coverage: FloatImage) -> FloatImage:
    blended: FloatImage = (image + coverage * (tone - image)).astype(np.float32)
    return blended


def _expose(random: np.random.Generator, scene: FloatImage) -> NDArray[np.uint8]:
    """The image that the microscope's detector takes of the scene: gain, drift, blur, noise."""
    gain = np.float32(random.uniform(0.95, 1.05)) * (
        1 + np.float32(0.04) * _slope(random, scene.shape)
    )
    exposed = _blurred(scene, OPTICS_BLUR_PX) * gain
    noise = random.standard_normal(scene.shape, dtype=np.float32)
    exposed = exposed + noise * (READ_NOISE + SHOT_NOISE * np.sqrt(np.clip(exposed, 0, 1)))
    return (np.clip(exposed, 0, 1) * 255).astype(np.uint8)


def _blurred(image: FloatImage, sigma_px: float) -> FloatImage:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), np.float32)

"""The places that a detector misjudges most: missed defects and false alarms."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semedge_trainer.evaluation.masks import MaskedFrame
from semedge_trainer.evaluation.report.picture import ColourImage, in_colour, outline, resized
from semedge_trainer.evaluation.results import Result
from semedge_trainer.evaluation.scored_frames import ScoredFrame

MOST_SPOTS = 12
MARGIN_PX = 32
SMALLEST_VIEW_PX = 96
VIEW_PX = 288
LINE_BGR = (60, 60, 255)


class Box(NamedTuple):
    """A part of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Spot:
    """A place of a frame and its score."""

    files: MaskedFrame
    box: Box
    score: float


def worst_misses(result: Result, most: int = MOST_SPOTS) -> list[Spot]:
    """Anomalous places with the lowest scores, the lowest first.

    Regions of the masks, each with its highest score, where samples are pixels; else patches.
    """
    score = result.rows[0].score
    frames = [frame for frame in result.frames if frame.files.masked]
    if result.by_pixel:
        found = (spot for frame in frames for spot in _mask_regions(frame, score))
    else:
        found = (
            spot
            for frame in frames
            for spot in _patches_apart(frame, score, frame.labels, most, rising=True)
        )
    return heapq.nsmallest(most, found, key=lambda spot: spot.score)


def worst_false_alarms(result: Result, most: int = MOST_SPOTS) -> list[Spot]:
    """Normal patches with the highest scores, the highest first, no two of one place."""
    score = result.rows[0].score
    found = (
        spot
        for frame in result.frames
        for spot in _patches_apart(frame, score, normal_patches(result, frame), most, rising=False)
    )
    return heapq.nlargest(most, found, key=lambda spot: spot.score)


def normal_patches(result: Result, frame: ScoredFrame) -> NDArray[np.bool_]:
    """Which of the scored patches are normal; where samples are pixels, none near a mask counts."""
    if not result.by_pixel:
        return ~frame.labels
    reach = np.ones((2 * MARGIN_PX + 1, 2 * MARGIN_PX + 1), np.uint8)
    near: Any = cv2.dilate(frame.labels.astype(np.uint8), reach)
    normal: NDArray[np.bool_] = np.logical_not(frame.grid.cut(near).any(axis=(1, 2, 3)))
    return normal


def view(spot: Spot) -> tuple[str, ColourImage]:
    """What the picture shows, and the place in its surroundings with the contour of the mask."""
    frame, mask = spot.files.read(1)
    rows, columns = (
        _window(start, length, side)
        for start, length, side in zip(spot.box[:2], spot.box[2:], frame.shape, strict=True)
    )
    part = in_colour(frame.image)[rows, columns]
    scale = VIEW_PX / max(part.shape[:2])
    picture = resized(part, scale)
    marked = cv2.resize(
        mask[rows, columns].astype(np.uint8), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST
    )
    outline(picture, marked.astype(bool), 1)
    top, left = (spot.box.top - rows.start) * scale, (spot.box.left - columns.start) * scale
    corner = (round(left + spot.box.width * scale) - 1, round(top + spot.box.height * scale) - 1)
    cv2.rectangle(picture, (round(left), round(top)), corner, LINE_BGR, 2)
    name = spot.files.image_path.name
    return f"Surroundings of x {spot.box.left}, y {spot.box.top} in {name}.", picture


def _window(start: int, length: int, side: int) -> slice:
    """The pixels shown along one side of the frame."""
    shown = min(side, max(length + 2 * MARGIN_PX, SMALLEST_VIEW_PX))
    first = min(max(0, start + length // 2 - shown // 2), side - shown)
    return slice(first, first + shown)


def _mask_regions(frame: ScoredFrame, score: str) -> Iterator[Spot]:
    count, numbers, boxes, _ = cv2.connectedComponentsWithStats(
        frame.labels.astype(np.uint8), connectivity=8
    )
    pixels = frame.grid.to_pixels(frame.patch_scores[score])
    highest = ndimage.maximum(pixels, numbers, np.arange(count))
    for number in range(1, count):
        left, top, width, height = (int(value) for value in boxes[number, :4])
        yield Spot(frame.files, Box(top, left, height, width), float(highest[number]))


def _patches_apart(
    frame: ScoredFrame, score: str, wanted: NDArray[np.bool_], most: int, *, rising: bool
) -> Iterator[Spot]:
    """At most `most` of the wanted patches by their scores, none in the view of another."""
    side_px = frame.grid.patch_px
    apart_px = max(side_px + MARGIN_PX, SMALLEST_VIEW_PX // 2)
    scores = frame.patch_scores[score]
    order = np.argsort(scores if rising else -scores, kind="stable")
    order = order[wanted[order]]
    rows, columns = np.divmod(frame.chosen[order], frame.grid.shape[1])
    tops, lefts = frame.grid.tops[rows], frame.grid.lefts[columns]
    for _ in range(most):
        if not len(order):
            return
        top, left = int(tops[0]), int(lefts[0])
        yield Spot(frame.files, Box(top, left, side_px, side_px), float(scores[order[0]]))
        apart = np.maximum(abs(tops - top), abs(lefts - left)) >= apart_px
        order, tops, lefts = order[apart], tops[apart], lefts[apart]

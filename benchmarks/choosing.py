"""The settings of texture-gaussian, chosen by cross-validation over frames with masks; as Markdown.

::

    python benchmarks/choosing.py --normal DIR --images DIR --masks DIR

Every combination of the values below is fitted to the normal frames, in float. Each fold of the
frames with masks is judged by the setting that is best for patches on the other folds, so that the
figures are those of frames on which nothing was chosen.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from judging import HEADER, Judge, Way, cross_validated, pooled_auroc
from predicting import SCHEDULE, Array, Shown, show

from semedge.frame_scorer import cells_of
from semedge.manifest import FrameInput
from semedge_trainer.detectors.texture_gaussian import TextureGaussian, TextureGaussianOptions
from semedge_trainer.frames import read_training_frames
from semedge_trainer.items import FrameItems
from semedge_trainer.masks import match_masks

DEFAULT = TextureGaussianOptions()
DEPTHS = ("6", "9", "6+9", "5+6+9")
KEPT = (0.5, 0.75, 1.0)
MAGNIFICATIONS = (1.0, 1.25)
SMOOTHING_PX = (4.0, 6.0, 8.0)
BORDER_PX = (0.0, 12.0, 20.0, 32.0)

Options = TextureGaussianOptions
Distances = Mapping[tuple[str, float], list[Array]]
"""Of each frame's places `(rows, columns)`, by the depth and the share of directions kept."""


def distances_of(frames: Sequence[Shown]) -> dict[tuple[str, float], list[Array]]:
    """Mahalanobis distances of frames whose whitened features have all directions."""
    found: dict[tuple[str, float], list[Array]] = {}
    for frame in frames:
        for name, whitened in frame.whitened.items():
            squares = whitened**2
            for kept in KEPT:
                count = max(1, round(kept * squares.shape[-1]))
                places = squares[..., :count].mean(axis=-1)
                found.setdefault((name.removeprefix("f"), kept), []).append(places)
    return found


def tried() -> Iterator[Options]:
    """Every combination of the values."""
    for values in product(MAGNIFICATIONS, DEPTHS, KEPT, SMOOTHING_PX, BORDER_PX):
        magnification, depths, kept, smoothing_px, border_px = values
        yield replace(
            DEFAULT,
            magnification=magnification,
            depths=depths,
            kept=kept,
            smoothing_px=smoothing_px,
            border_px=border_px,
        )


def name_of(options: Options) -> str:
    """The settings that are not the default's."""
    names = ("magnification", "depths", "kept", "smoothing_px", "border_px")
    changed = [
        f"{name}={getattr(options, name)}"
        for name in names
        if getattr(options, name) != getattr(DEFAULT, name)
    ]
    return ", ".join(changed) or "the default"


def way_of(options: Options, frame_input: FrameInput, distances: Distances, judge: Judge) -> Way:
    """Score maps of the frames with masks, by one combination."""
    parts = [distances[depth, options.kept] for depth in options.depths.split("+")]
    maps = [np.mean(places, axis=0, dtype=np.float32) for places in zip(*parts, strict=True)]
    cells = [
        cells_of(np.ascontiguousarray(places), frame.cells, frame_input)
        for places, frame in zip(maps, judge.frames, strict=True)
    ]
    return Way(name_of(options), (), cells)


def factors(
    ways: Mapping[Options, Way], items: Mapping[str, list[FrameItems]], judge: Judge
) -> Iterator[str]:
    """Rows: each value of a setting with the others at their defaults, over all frames."""
    everything = range(len(judge.frames))
    values = {
        "depths": DEPTHS,
        "kept": KEPT,
        "magnification": MAGNIFICATIONS,
        "smoothing_px": SMOOTHING_PX,
        "border_px": BORDER_PX,
    }
    for name, tries in values.items():
        for value in tries:
            way = ways[replace(DEFAULT, **{name: value})]
            patch, pixel = pooled_auroc(items[way.name]), judge.pixels(way, everything)
            mark = " (the default)" if value == getattr(DEFAULT, name) else ""
            yield f"| `{name}={value}`{mark} | {patch:.4f} | {pixel:.4f} |"


def main() -> None:
    """Read the command line, and try every combination."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("normal", "images", "masks"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    masked = match_masks(options.images, options.masks)
    ways: dict[Options, Way] = {}
    for magnification in MAGNIFICATIONS:
        every_direction = replace(DEFAULT, kept=1.0, magnification=magnification)
        detector = TextureGaussian(every_direction, SCHEDULE)
        images = read_training_frames(str(options.normal), detector.patch_px).images
        networks = detector.build()
        fitted = detector.fit_frames(networks, images)
        frames = [
            show(detector, networks, fitted, *each.read(detector.patch_px)) for each in masked
        ]
        judge, distances = Judge((), frames), distances_of(frames)
        for each in tried():
            if each.magnification == magnification:
                frame_input = TextureGaussian(each, SCHEDULE).frame_input()
                inside = frame_input.model_copy(update={"margin_px": 0})
                ways[each] = way_of(each, inside, distances, judge)
    items = {way.name: judge.patches(way) for way in ways.values()}
    print("| setting, the others at their defaults | patch AUROC | pixel AUROC |\n|---|---:|---:|")
    for row in factors(ways, items, judge):
        print(row)
    at_line_speed = [way for each, way in ways.items() if each.magnification == 1]
    print(f"\n{HEADER}")
    for label, among in (
        ("the default", [ways[DEFAULT]]),
        (f"the {len(at_line_speed)} settings at magnification 1", at_line_speed),
        (f"all {len(ways)} settings", list(ways.values())),
    ):
        print(cross_validated(label, among, items, judge))


if __name__ == "__main__":
    main()

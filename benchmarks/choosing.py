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

import numpy as np
from judging import HEADER, Judge, Way, cross_validated, pooled_auroc
from predicting import SCHEDULE, TEACHER, Array, Shown, show, use_one_core

from semedge_trainer.detectors.texture_gaussian import TextureGaussian, TextureGaussianOptions
from semedge_trainer.evaluation.masks import match_masks
from semedge_trainer.evaluation.samples import FrameSamples
from semedge_trainer.training.frames import read_training_frames

DEFAULT = TextureGaussianOptions()
VALUES = {
    "depths": ("6", "9", "6+9", "5+6+9"),
    "kept": (0.5, 0.75, 1.0),
    "magnification": (1.0, 1.25),
    "smoothing_px": (4.0, 6.0, 8.0),
    "border_px": (0.0, 12.0, 20.0, 32.0),
}
"""What is tried, by the option of the detector."""

Options = TextureGaussianOptions
Distances = Mapping[tuple[str, float], list[Array]]
"""Of each frame's places `(rows, columns)`, by the depth and the share of directions kept."""


def distances_of(frames: Sequence[Shown]) -> dict[tuple[str, float], list[Array]]:
    """Mahalanobis distances of frames whose whitened features have all directions."""
    found: dict[tuple[str, float], list[Array]] = {}
    for frame in frames:
        for name, whitened in frame.whitened.items():
            squares = whitened**2
            for kept in VALUES["kept"]:
                count = max(1, round(kept * squares.shape[-1]))
                places = squares[..., :count].mean(axis=-1)
                found.setdefault((name.removeprefix("f"), kept), []).append(places)
    return found


def tried(magnification: float) -> Iterator[Options]:
    """Every combination of the other values."""
    for values in product(*VALUES.values()):
        options = replace(DEFAULT, **dict(zip(VALUES, values, strict=True)))
        if options.magnification == magnification:
            yield options


def name_of(options: Options) -> str:
    """The settings that are not the default's."""
    chosen = {name: getattr(options, name) for name in VALUES}
    changed = [
        f"{name}={value}" for name, value in chosen.items() if value != getattr(DEFAULT, name)
    ]
    return ", ".join(changed) or "the default"


def way_of(options: Options, distances: Distances, judge: Judge) -> Way:
    """Score maps of the frames with masks, by one combination."""
    detector = TextureGaussian(options, SCHEDULE)
    parts = [distances[depth, options.kept] for depth in options.depths.split("+")]
    cells = [
        frame.smoothed(np.mean(places, axis=0), detector)
        for frame, places in zip(judge.frames, zip(*parts, strict=True), strict=True)
    ]
    return Way(name_of(options), (), cells)


def factors(
    ways: Mapping[Options, Way], items: Mapping[str, list[FrameSamples]], judge: Judge
) -> Iterator[str]:
    """Rows: each value of a setting with the others at their defaults, over all frames."""
    everything = range(len(judge.frames))
    for name, tries in VALUES.items():
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
    use_one_core()
    images = read_training_frames(str(options.normal), TEACHER.patch_px).images
    masked = [each.read(TEACHER.patch_px) for each in match_masks(options.images, options.masks)]
    ways: dict[Options, Way] = {}
    for magnification in VALUES["magnification"]:
        every_direction = replace(DEFAULT, kept=1.0, magnification=magnification)
        detector = TextureGaussian(every_direction, SCHEDULE)
        networks = detector.build()
        fitted = detector.fit_frames(networks, images)
        judge = Judge((), [show(detector, networks, fitted, *each) for each in masked])
        distances = distances_of(judge.frames)
        ways |= {each: way_of(each, distances, judge) for each in tried(magnification)}
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

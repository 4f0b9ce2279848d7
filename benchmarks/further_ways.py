"""Student and teacher, and reverse distillation, beside texture-gaussian; as Markdown.

::

    python benchmarks/further_ways.py --normal DIR --images DIR --masks DIR

The teacher is the pretrained network of texture-gaussian, its features whitened by the normal
frames. A student predicts them from the gray image (Bergmann et al. 2020, "Uninformed Students"); a
decoder predicts the shallow ones from a few channels of a deep one (after Deng and Li 2022,
"Anomaly Detection via Reverse Distillation"). Both learn from normal frames, and a place is as
anomalous as they are wrong there. Settings are chosen by cross-validation over the frames with
masks.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from judging import HEADER, Judge, Way, cross_validated, pooled_auroc
from numpy.typing import NDArray
from predicting import (
    DEPTHS,
    SCHEDULE,
    TEACHER,
    TILE_PX,
    Array,
    Shown,
    Trial,
    decoder,
    multiply_adds,
    show,
    student,
    train,
    use_one_core,
)

from semedge.inference.scores import weighted_score
from semedge_trainer.detectors.texture_features import gaussian_of
from semedge_trainer.detectors.texture_gaussian import TextureGaussian, TextureGaussianOptions
from semedge_trainer.evaluation.masks import match_masks
from semedge_trainer.training.frames import read_training_frames

STUDENT_WIDTHS = (32, 64)
SHIFTS_PX = (0, 5, 11)
"""What is cut off above and on the left, so that the teacher sees a normal frame anew."""
BOTTLENECKS = (8, 32)
COARSE = 4
"""Rows and columns of the grid whose cells have means of their own."""

DEFAULT = TextureGaussian(TextureGaussianOptions(), SCHEDULE).score_plan().scores["texture"]


def try_out(trial: Trial, judge: Judge, seed: int) -> list[Way]:
    """Train, score all frames at each of its steps, and print what it cost."""
    keras.utils.set_random_seed(seed)
    network, ways, training_s = trial.build((None, None)), [], 0.0
    for step, spent_s in train(network, trial, seed):
        training_s = spent_s
        errors = {
            id(frame): trial.errors(network, frame) for frame in (*judge.normal, *judge.frames)
        }
        for score, depths in trial.scores.items():
            maps = {key: np.mean([of[d] for d in depths], axis=0) for key, of in errors.items()}
            left = ", ".join(
                f"{_left(part, maps, depths):.2f}" for part in (judge.normal, judge.frames)
            )
            name = f"{trial.name}, {step} steps, {score}"
            ways.append(judge.way(name, lambda frame, maps=maps: maps[id(frame)], left))
    work = multiply_adds(trial.build(trial.shape))
    cost = f"{network.count_params():,} | {work / 1e9:.2f} G | {training_s:.0f} s"
    print(f"| {trial.name} | {cost} |", flush=True)
    return ways


def _left(frames: Sequence[Shown], maps: Mapping[int, Array], depths: Sequence[str]) -> float:
    errors = np.concatenate([maps[id(frame)][frame.unmarked] for frame in frames])
    squares = np.concatenate([squared_norm(frame, depths)[frame.unmarked] for frame in frames])
    return float(errors.mean() / squares.mean())


def squared_norm(frame: Shown, depths: Sequence[str]) -> Array:
    """Mean square of the whitened features at each place, depths counting alike."""
    return np.mean([(frame.whitened[depth] ** 2).mean(-1) for depth in depths], axis=0)


def refitted(name: str, fit: Sequence[Shown], judge: Judge, coarse: int = 1) -> Way:
    """texture-gaussian fitted to some frames, with a mean for each cell of a coarse grid."""
    means, gaussians = {}, {}
    for depth in DEPTHS:
        values = np.concatenate([np.concatenate(frame.features[depth]) for frame in fit])
        where = np.concatenate([_coarse(frame, coarse).ravel() for frame in fit])
        means[depth] = np.stack([values[where == i].mean(axis=0) for i in range(coarse**2)])
        options = TEACHER.options
        gaussians[depth] = gaussian_of(values - means[depth][where], options.ridge, options.kept)

    def places(frame: Shown) -> Array:
        distances = []
        for depth in DEPTHS:
            level, whitening = gaussians[depth]
            off = frame.features[depth] - means[depth][_coarse(frame, coarse)] - level
            distances.append(((off @ whitening) ** 2).mean(-1))
        return np.mean(distances, axis=0)

    return judge.way(name, places)


def _coarse(frame: Shown, coarse: int) -> NDArray[np.intp]:
    """Which cell of the coarse grid each place lies in, `(rows, columns)`."""
    rows, columns = frame.features["f6"].shape[:2]
    down, across = (np.arange(side) * coarse // side for side in (rows, columns))
    return down[:, None] * coarse + across


def report(gaussian: Way, families: Mapping[str, Sequence[Way]], judge: Judge) -> None:
    """Print a row a way, alone and with the Gaussian, and a row a family, cross-validated."""
    everything = range(len(judge.frames))
    sums = {family: [way.added_to(gaussian) for way in ways] for family, ways in families.items()}
    known = [
        gaussian,
        *(way for part in (families, sums) for ways in part.values() for way in ways),
    ]
    items = {way.name: judge.patches(way) for way in known}
    figures = {
        way.name: f"{pooled_auroc(items[way.name]):.4f} | {judge.pixels(way, everything):.4f}"
        for way in known
    }
    print("\n| way | patch | pixel | + Gaussian: patch | pixel | left |")
    print("|---|---:|---:|---:|---:|---|")
    print(f"| {gaussian.name} | {figures[gaussian.name]} | | | |")
    for family, ways in families.items():
        for way, added in zip(ways, sums[family], strict=True):
            print(f"| {way.name} | {figures[way.name]} | {figures[added.name]} | {way.left} |")
    choices = {"the Gaussian": [gaussian]}
    for family, ways in families.items():
        choices |= {family: ways, f"{family} + Gaussian": sums[family]}
    choices["any of all"] = known
    print(f"\n{HEADER}")
    for label, ways in choices.items():
        print(cross_validated(label, ways, items, judge))


def main() -> None:
    """Read the command line, and try everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("normal", "images", "masks"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    use_one_core()
    images = read_training_frames(str(options.normal), TEACHER.patch_px).images
    networks = TEACHER.build()
    fitted = TEACHER.fit_frames(networks, images)
    normal = [
        show(TEACHER, networks, fitted, image, np.zeros(image.shape, bool)) for image in images
    ]
    masked = [each.read(TEACHER.patch_px) for each in match_masks(options.images, options.masks)]
    judge = Judge(normal, [show(TEACHER, networks, fitted, *each) for each in masked])

    def distances(frame: Shown) -> Array:
        flat = {name: np.concatenate(values) for name, values in frame.features.items()}
        places = weighted_score(DEFAULT, {**fitted, **flat})
        return places.reshape(frame.features["f6"].shape[:2])

    fixed = TEACHER.networks_for(networks, TILE_PX)
    work = sum(multiply_adds(fixed[f"blocks{depth}"]) for depth in (5, 6, 9))
    print("| network | parameters | multiply-adds a frame | training, one core |")
    print("|---|---:|---:|---:|")
    parameters = sum(networks[f"blocks{depth}"].count_params() for depth in (5, 6, 9))
    print(f"| teacher, to block 9 | {parameters:,} | {work / 1e9:.2f} G | |")
    more, deeper = multiply_adds(fixed["blocks12"]), networks["blocks12"].count_params()
    print(f"| and on to the expansion in block 12 | {deeper:,} | {more / 1e9:.2f} G | |")
    shifted = [
        show(TEACHER, networks, fitted, image[down:, right:], np.zeros((0, 0), bool))
        for image in images
        for down in SHIFTS_PX
        for right in SHIFTS_PX
    ]
    students = [student(f"student, width {width}", width, normal) for width in STUDENT_WIDTHS]
    students.append(student("student, width 64, shifted frames", 64, shifted))
    untrained = [
        judge.way(f"nothing predicted, {label}", lambda frame, of=of: squared_norm(frame, of))
        for label, of in (("6+9", ("f6", "f9")), ("5+6", ("f5", "f6")))
    ]
    families = {
        "nothing predicted": untrained,
        "student": [way for trial in students for way in try_out(trial, judge, options.seed)],
        "reverse distillation": [
            way
            for deep in ("f9", "f12")
            for bottleneck in BOTTLENECKS
            for way in try_out(decoder(deep, bottleneck, normal), judge, options.seed)
        ],
        "means by position": [
            refitted(f"Gaussian, means in {COARSE}x{COARSE} cells", normal, judge, COARSE)
        ],
        "fit to shifted frames": [refitted("Gaussian, fitted to shifted frames", shifted, judge)],
    }
    report(judge.way("Gaussian", distances), families, judge)


if __name__ == "__main__":
    main()

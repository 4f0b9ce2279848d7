"""Detectors on many materials, with the defaults of `semedge learn`; as Markdown.

::

    python benchmarks/panel.py ../shared/data                # semedge beside PaDiM and PatchCore
    python benchmarks/panel.py ../shared/data --choices      # what it chooses beside fixed variants
    python benchmarks/panel.py ../shared/data --speeds       # fast, balanced and fine
    python benchmarks/panel.py ../shared/data --robustness   # false alarms under changes
    python benchmarks/panel.py ../shared/data --few-frames   # 1, 5, 20 and 60 frames
    python benchmarks/panel.py ../shared/data --bad-frame    # one defective frame among 60 normal

Each material is a folder with `normal`, `test_normal` and `anomalous/images`, and masks where there
are any. Magnetic tiles are cross-validated over the tiles, since they have no `test_normal`; their
figure is the mean of the classes. The peers see gray values, and NumPy's products take a thread for
each core; for semedge they take one, as in its commands, since its own threads share the work.
Nothing is chosen by these figures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean, median

import cv2
import numpy as np
from numpy.typing import NDArray
from panel_materials import MATERIALS, Split, frame_of, some, splits_of
from panel_peers import Padim, PatchCore, Peer
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from semedge.core.errors import SemedgeError
from semedge.core.frame import AnyImage, Frame
from semedge.core.images import read_mask, read_picture
from semedge.inference.bundle import parse_bundle
from semedge.inference.detector import Detector
from semedge.learning.learn import Learned, learn
from semedge.learning.options import LearnOptions, Speed
from semedge.learning.variation import blurred, compressed, lit, moved
from semedge_trainer.evaluation.aupro import region_overlap
from semedge_trainer.evaluation.samples import FrameSamples, frame_samples

CALIBRATED = 0.95
"""Quantile of the normal test frames above which a frame is found."""
DRAWS = 1000

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """A method on one split."""

    normal: Scores
    anomalous: dict[str, Scores]
    aupro: float | None
    frame_ms: float
    fit_s: float
    size_bytes: int
    chosen: str = ""

    @property
    def auroc(self) -> float:
        """Mean of the classes."""
        return mean(_auroc(self.normal, each) for each in self.anomalous.values())

    @property
    def found(self) -> float:
        """Share of the anomalous frames above 95 % of the normal ones."""
        level = np.quantile(self.normal, CALIBRATED)
        return float((np.concatenate(list(self.anomalous.values())) > level).mean())


Method = Callable[[Split], Judged]


@threadpool_limits.wrap(limits=1, user_api="blas")
def ours(split: Split, options: LearnOptions, frames: int | None = None) -> Judged:
    """The detector of `semedge learn`."""
    images = [read_picture(path).picture for path in some(split.fit, frames)]
    started_s = time.perf_counter()
    learned = learn(images, options)
    fit_s = time.perf_counter() - started_s
    content = learned.bundle_content
    chosen = learned.manifest.training.options
    with Detector(parse_bundle(content, "the learned detector")) as detector:

        def score(frame: Frame) -> tuple[float, NDArray[np.float32]]:
            found = detector.score(frame)
            return found.frame_score, found.to_pixels()

        return _judged(
            split,
            score,
            fit_s,
            len(content),
            f"position {chosen['position']}, even light {chosen['even_light']}, "
            f"colour {chosen['colour']}",
        )


def peer(split: Split, make: Callable[[], Peer]) -> Judged:
    """A peer; a frame's score is its map's highest."""
    method = make()
    started_s = time.perf_counter()
    method.fit([read_picture(path).image for path in split.fit])
    fit_s = time.perf_counter() - started_s

    def score(frame: Frame) -> tuple[float, NDArray[np.float32]]:
        pixels = method.pixel_scores(frame.image)
        return float(pixels.max()), pixels

    return _judged(split, score, fit_s, method.size_bytes)


def _judged(
    split: Split,
    score: Callable[[Frame], tuple[float, NDArray[np.float32]]],
    fit_s: float,
    size_bytes: int,
    chosen: str = "",
) -> Judged:
    times_ms: list[float] = []
    samples: list[FrameSamples] = []

    def of(path: Path) -> float:
        frame = frame_of(read_picture(path).picture)
        started_s = time.perf_counter()
        frame_score, pixels = score(frame)
        times_ms.append(1000 * (time.perf_counter() - started_s))
        if path in split.masks:
            samples.append(_samples(pixels, read_mask(split.masks[path])))
        return frame_score

    normal = np.array([of(path) for path in split.normal])
    anomalous = {
        name: np.array([of(path) for path in paths]) for name, paths in split.anomalous.items()
    }
    aupro = None
    if samples:
        negatives = np.sort(np.concatenate([each.normal for each in samples]))
        aupro = region_overlap(samples, negatives)
    return Judged(normal, anomalous, aupro, median(times_ms), fit_s, size_bytes, chosen)


def _samples(pixels: NDArray[np.float32], mask: NDArray[np.bool_]) -> FrameSamples:
    """Scores of the pixels of every fourth row and column, with the regions of the mask."""
    if mask.shape != pixels.shape:
        size = pixels.shape[::-1]
        mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
    mask = mask[::4, ::4]
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return frame_samples(pixels[::4, ::4], mask, labels[mask])


def interval(judged: Sequence[Judged]) -> tuple[float, float]:
    """95 % interval of the AUROC, by frames drawn anew."""
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(DRAWS):
        values = []
        for each in judged:
            normal = random.choice(each.normal, len(each.normal))
            values += [_auroc(normal, random.choice(a, len(a))) for a in each.anomalous.values()]
        drawn.append(mean(values))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def _auroc(normal: Scores, anomalous: Scores) -> float:
    labels = [0] * len(normal) + [1] * len(anomalous)
    return float(roc_auc_score(labels, np.concatenate([normal, anomalous])))


def table(materials: Sequence[str], data: Path, methods: dict[str, Method]) -> Iterator[str]:
    """One row for each material and method, and the means."""
    yield "| material | method | image AUROC | found at 5 % | AUPRO | ms | fit s | MB | chosen |"
    yield "|---|---|---|---:|---:|---:|---:|---:|---|"
    rows: dict[str, list[tuple[float, float, float | None, float]]] = {name: [] for name in methods}
    for material in materials:
        splits = splits_of(data / material)
        for name, method in methods.items():
            judged = [method(split) for split in splits]
            auroc, found = mean(each.auroc for each in judged), mean(each.found for each in judged)
            low, high = interval(judged)
            overlaps = [each.aupro for each in judged if each.aupro is not None]
            aupro = mean(overlaps) if overlaps else None
            frame_ms = median(each.frame_ms for each in judged)
            rows[name].append((auroc, found, aupro, frame_ms))
            classes = "".join(
                f"; {kind} {mean(_auroc(each.normal, each.anomalous[kind]) for each in judged):.3f}"
                for kind in judged[0].anomalous
                if len(judged[0].anomalous) > 1
            )
            yield (
                f"| {material} | {name} | {auroc:.3f} ({low:.3f}–{high:.3f}){classes} "
                f"| {found:.2f} | {'–' if aupro is None else f'{aupro:.3f}'} | {frame_ms:.0f} | "
                f"{mean(each.fit_s for each in judged):.0f} | "
                f"{mean(each.size_bytes for each in judged) / 1e6:.1f} | {judged[0].chosen} |"
            )
    for name, each in rows.items():
        overlaps = [aupro for _, _, aupro, _ in each if aupro is not None]
        yield (
            f"| **mean** | {name} | **{mean(row[0] for row in each):.3f}** | "
            f"**{mean(row[1] for row in each):.2f}** | {mean(overlaps):.3f} | "
            f"{mean(row[3] for row in each):.0f} | | | |"
        )


FIXED = {
    f"{position}/{even_light}": LearnOptions(position=position, even_light=even_light)
    for position in ("on", "off")
    for even_light in ("on", "off")
}
"""Variants by position and even light."""


def _fixed(split: Split, options: LearnOptions) -> Judged:
    """A fixed variant; without positions where the frames have several sizes."""
    try:
        return ours(split, options)
    except SemedgeError:
        return ours(split, replace(options, position="off"))


def choices(materials: Sequence[str], data: Path) -> Iterator[str]:
    """What each material chooses, beside the variant that is best in the mean of the others."""
    yield f"| material | {' | '.join(FIXED)} | chosen | best of the others | gain |"
    yield f"|---|{'---:|' * len(FIXED)}---|---|---:|"
    found: dict[str, dict[str, float]] = {}
    chosen: dict[str, tuple[str, float]] = {}
    for material in materials:
        splits = splits_of(data / material)
        found[material] = {
            name: mean(_fixed(split, options).auroc for split in splits)
            for name, options in FIXED.items()
        }
        judged = [ours(split, LearnOptions()) for split in splits]
        chosen[material] = (judged[0].chosen, mean(each.auroc for each in judged))
    for material in materials:
        others = [found[other] for other in materials if other != material]
        best = max(FIXED, key=lambda name: mean(each[name] for each in others))
        name, auroc = chosen[material]
        yield (
            f"| {material} | {' | '.join(f'{found[material][each]:.3f}' for each in FIXED)} | "
            f"{name}: {auroc:.3f} | {best} | {auroc - found[material][best]:+.3f} |"
        )


CHANGES: dict[str, Callable[[AnyImage], AnyImage]] = {
    "light +20 %": partial(lit, gain=1.2),
    "light -20 %": partial(lit, gain=0.8),
    "blur 1 px": partial(blurred, sigma_px=1.0),
    "JPEG 70": partial(compressed, quality=70),
    "JPEG 50": partial(compressed, quality=50),
    "turn 2°": partial(moved, turn_degrees=2.0),
    "turn 3°": partial(moved, turn_degrees=3.0),
}
"""What a line does to a frame without making it anomalous."""


def robustness(materials: Sequence[str], data: Path) -> Iterator[str]:
    """Share of changed normal test frames above the 95 % quantile of the unchanged ones."""
    yield f"| material | {' | '.join(CHANGES)} |"
    yield f"|---|{'---:|' * len(CHANGES)}"
    rates: dict[str, list[float]] = {name: [] for name in CHANGES}
    for material in materials:
        split = splits_of(data / material)[0]
        learned = learn([read_picture(path).picture for path in split.fit])
        pictures = [read_picture(path).picture for path in split.normal]
        with Detector(parse_bundle(learned.bundle_content, "the learned detector")) as detector:
            level = np.quantile(_scores(detector, pictures), CALIBRATED)
            for name, change in CHANGES.items():
                scores = _scores(detector, (change(each) for each in pictures))
                rates[name].append(float((scores > level).mean()))
        yield f"| {material} | {' | '.join(f'{rates[name][-1]:.0%}' for name in CHANGES)} |"
    yield f"| **mean** | {' | '.join(f'{mean(rates[name]):.0%}' for name in CHANGES)} |"


BAD_AMONG = 60
"""Frames that are fitted to, one of which is defective."""


def bad_frame(materials: Sequence[str], data: Path) -> Iterator[str]:
    """How much a defective frame among the normal ones changes the scores of others."""
    yield "| material | fitted to | named | median change | 95 % of scores | image AUROC |"
    yield "|---|---:|---|---:|---:|---|"
    medians: list[float] = []
    for material in materials:
        split = splits_of(data / material)[0]
        pictures = [read_picture(path).picture for path in some(split.fit, BAD_AMONG)]
        defective = [path for paths in split.anomalous.values() for path in paths]
        bad = read_picture(defective.pop()).picture
        middle = len(pictures) // 2
        with_bad = [*pictures[:middle], bad, *pictures[middle + 1 :]]
        learned = learn(pictures)
        # By the same options, so that the frame changes nothing but what is learned.
        options = LearnOptions().settled(learned.manifest.training.options)
        again = learn(with_bad, options)
        tested = [read_picture(path).picture for path in (*split.normal, *defective)]
        before, after = (_learned_scores(each, tested) for each in (learned, again))
        change = np.abs(after / before - 1)
        medians.append(float(np.median(change)))
        normal = len(split.normal)
        aurocs = [_auroc(each[:normal], each[normal:]) for each in (before, after)]
        named = "yes" if middle in again.outlying else "no"
        yield (
            f"| {material} | {len(pictures)} | {named} | {medians[-1]:.1%} | "
            f"{np.quantile(change, 0.95):.0%} | {aurocs[0]:.3f} to {aurocs[1]:.3f} |"
        )
    yield f"| **mean** | | | {mean(medians):.1%} | | |"


def _learned_scores(learned: Learned, pictures: Sequence[AnyImage]) -> Scores:
    with Detector(parse_bundle(learned.bundle_content, "the learned detector")) as detector:
        return _scores(detector, pictures)


def _scores(detector: Detector, pictures: Iterable[AnyImage]) -> Scores:
    return np.array([detector.score(frame_of(each)).frame_score for each in pictures])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--material", action="append", choices=MATERIALS, default=[])
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--choices", action="store_true")
    kind.add_argument("--speeds", action="store_true")
    kind.add_argument("--robustness", action="store_true")
    kind.add_argument("--few-frames", action="store_true")
    kind.add_argument("--bad-frame", action="store_true")
    given = parser.parse_args()
    materials = given.material or MATERIALS
    if given.robustness:
        lines = robustness(materials, given.data)
    elif given.bad_frame:
        lines = bad_frame(materials, given.data)
    elif given.choices:
        lines = choices(materials, given.data)
    else:
        lines = table(materials, given.data, _methods(given))
    for line in lines:
        print(line, flush=True)


def _methods(given: argparse.Namespace) -> dict[str, Method]:
    if given.speeds:
        speeds: tuple[Speed, ...] = ("fast", "balanced", "fine")
        return {speed: partial(ours, options=LearnOptions(speed=speed)) for speed in speeds}
    if given.few_frames:
        return {
            f"{count} frames": partial(ours, options=LearnOptions(), frames=count)
            for count in (1, 5, 20, 60)
        }
    return {
        "semedge learn": partial(ours, options=LearnOptions()),
        "PaDiM": partial(peer, make=Padim),
        "PatchCore": partial(peer, make=PatchCore),
    }


if __name__ == "__main__":
    main()

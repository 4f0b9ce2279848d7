"""Learns normal material from frames that are shown to the network in one way."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import AnyImage
from semedge.core.timing import Stopwatch
from semedge.core.view import mask_for
from semedge.inference.feature_extractor import FeatureExtractor
from semedge.inference.feature_maps import FeatureModel
from semedge.inference.feature_scorer import log_maps
from semedge.inference.grid import PatchGrid
from semedge.learning.false_alarms import FalseAlarm
from semedge.learning.plan import Plan
from semedge.learning.regions import InspectedCells, nothing_left
from semedge.learning.samples import FIT_PLACES, FrameSample, fit_models, sample_frame
from semedge.learning.score_fit import FittedScore, NormalMaps, fit_score, position_agreement
from semedge.learning.variation import Variation

BLOCKS = 4
"""The frames are divided into so many consecutive blocks, which alternate between two folds."""
LEAST_FOLDED = 4
"""With fewer frames there are no folds, and models judge the frames that they were fitted to."""
OUTLYING = 8.0
"""A frame stands out when its score is so many robust standard deviations above the median."""
MOST_OUTLYING = 0.05
"""Share of the frames that may be left out; where more stand out, they belong to the material."""
OUTLYING_FROM_FRAMES = 10
VARY_FROM_FRAMES = 10
"""Fewer frames are fitted to without variations, which would outweigh what they show."""

Step = Callable[[], None]
NO_ALARMS: Mapping[int, FalseAlarm] = {}


class Learner:
    """Models of normal frames, fold by fold, so that each frame is judged by models without it.

    Parameters
    ----------
    frames
        Normal frames, all gray or all in colour.
    extractor
        Shows them to the network.
    plan
        The maps that are needed.
    pool
        Its threads judge frames by several models at once.
    seed
        Of every random choice.
    step
        Called after each frame that is looked at.
    alarms_at
        Frames that are known to be normal though they alarmed, by their position: more of the
        places are fitted to that stood out, and they are never left out.
    left_out
        True where nothing is inspected, in frames of its shape; None where everything is.
    """

    def __init__(
        self,
        frames: Sequence[AnyImage],
        extractor: FeatureExtractor,
        plan: Plan,
        pool: Executor,
        *,
        seed: int = 0,
        step: Step = lambda: None,
        alarms_at: Mapping[int, FalseAlarm] = NO_ALARMS,
        left_out: NDArray[np.bool_] | None = None,
    ) -> None:
        self.frames = frames
        self.extractor = extractor
        self.plan = plan
        self._pool = pool
        self.outlying: tuple[int, ...] = ()
        self._seed = seed
        self._step = step
        self._alarms_at = alarms_at
        self._left_out = left_out
        self._cells = None if left_out is None else InspectedCells(left_out, extractor.input)
        self._vary = len(frames) >= VARY_FROM_FRAMES
        share = -(-FIT_PLACES // (len(frames) * (2 if self._vary else 1)))
        self._samples = [self._sample(at, frame, share) for at, frame in enumerate(frames)]
        self.folds = folds_of(len(frames))
        self._judge_frames()
        outlying = self._find_outlying()
        if outlying:
            self.outlying = outlying
            self._judge_frames()

    @property
    def kept(self) -> list[int]:
        """Indices of the frames that are not left out."""
        return [index for index in range(len(self.frames)) if index not in self.outlying]

    def models(self) -> dict[str, FeatureModel]:
        """Models of all frames that are kept."""
        return self._fit(self.kept)

    def score(self, plan: Plan, frames: Sequence[int] | None = None) -> FittedScore:
        """How maps become a score, fitted to the kept frames, or to the kept ones of `frames`."""
        indices = self.kept if frames is None else [each for each in frames if each in self.kept]
        return fit_score([self.maps[index] for index in indices], plan)

    def position_agreement(self, plan: Plan) -> float:
        """How well one half of the kept frames predicts where the other half has high cells."""
        maps = [self.maps[index] for index in self.kept]
        return position_agreement(maps, [int(self.folds[index]) for index in self.kept], plan)

    def maps_of(self, picture: AnyImage, fold: int) -> NormalMaps:
        """Maps of a frame by the models that were fitted without a fold."""
        height, width = picture.shape[:2]
        grid = PatchGrid(
            (height, width), self.extractor.input.cell_px, self.extractor.input.cell_px
        )
        models = self._fold_models[fold]
        found = log_maps(self.extractor, models, picture, grid, Stopwatch(), self._pool)
        self._step()
        if self._cells is not None and mask_for(picture.shape, self._left_out) is not None:
            found = {name: self._cells.filled(cells) for name, cells in found.items()}
        return NormalMaps(grid, found)

    def hidden_pixels(self) -> NDArray[np.bool_] | None:
        """True where frames of its shape are not judged; None where all are everywhere."""
        return None if self._cells is None else self._cells.hidden_pixels()

    def _sample(self, at: int, frame: AnyImage, share: int) -> list[FrameSample]:
        """Features of a frame, and of a variation of it where there are enough frames.

        The frame itself seeds the random choices, so that they depend on no other frame.
        """
        left_out = mask_for(frame.shape, self._left_out)
        inspected = frame if left_out is None else frame[~left_out]
        random = np.random.default_rng([self._seed, zlib.crc32(inspected.tobytes())])
        shown = [(frame, left_out)]
        if self._vary:
            variation = Variation(random)
            moved = None if left_out is None else variation.of_mask(left_out)
            shown.append((variation.of(frame), moved))
        alarm = self._alarms_at.get(at)
        stood_out = None if alarm is None else alarm.stood_out
        samples = [
            sample_frame(
                self.extractor, each, self.plan, share, random, self._pool, stood_out, mask
            )
            for each, mask in shown
        ]
        self._step()
        if not samples[0]:
            raise nothing_left(frame.shape[:2], self.extractor.input)
        # Of a varied frame, whose regions have moved, nothing may be left.
        return [sample for sample in samples if sample]

    def _fit(self, indices: Sequence[int]) -> dict[str, FeatureModel]:
        samples = [sample for index in indices for sample in self._samples[index]]
        return fit_models(samples, self.plan)

    def _judge_frames(self) -> None:
        """Fit the models of each fold, and judge every frame by those fitted without it."""
        self._fold_models = [
            self._fit([index for index in self.kept if self.folds[index] != fold] or self.kept)
            for fold in range(int(self.folds.max()) + 1)
        ]
        self.maps = [
            self.maps_of(frame, int(fold))
            for frame, fold in zip(self.frames, self.folds, strict=True)
        ]

    def _find_outlying(self) -> tuple[int, ...]:
        """Frames that stand out from the others as no normal frame would."""
        if len(self.frames) < OUTLYING_FROM_FRAMES:
            return ()
        fitted = self.score(self.plan)
        scores = np.array([fitted.frame_score(each) for each in self.maps])
        scores[list(self._alarms_at)] = -np.inf
        median = np.median(scores[np.isfinite(scores)])
        deviation = 1.4826 * np.median(np.abs(scores[np.isfinite(scores)] - median))
        outlying = np.flatnonzero(scores > median + OUTLYING * deviation)
        most = max(1, int(MOST_OUTLYING * len(scores)))
        return tuple(int(index) for index in outlying) if len(outlying) <= most else ()


def folds_of(count: int) -> NDArray[np.intp]:
    """The fold of each frame; neighbours, which may show the same place, share one."""
    if count < LEAST_FOLDED:
        return np.zeros(count, np.intp)
    folds: NDArray[np.intp] = np.arange(count) * BLOCKS // count % 2
    return folds

"""A sample of patches drawn by label, for scores that take a search for every patch.

Few patches of a frame are anomalous, so that a sample of all patches alike has to be large to hold
enough of them. Here a third of the sample is anomalous. The AUROC does not depend on that share;
precision and F1 do, and count a normal patch as often as the frames have its like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semedge_trainer.evaluation.masks import MaskedFrame
from semedge_trainer.evaluation.metrics import Metrics, measure
from semedge_trainer.evaluation.protocols import Mask, ThesisProtocol
from semedge_trainer.evaluation.samples import frame_samples
from semedge_trainer.evaluation.scorer import Scores

ANOMALOUS_SHARE = 1 / 3
"""Of the sample: the AUROC's interval is nearly as narrow as with a half, and the false alarms that
precision and F1 count are those of twice as many normal patches."""


@dataclass(frozen=True)
class LabelSample:
    """Patches of the frames that any were drawn from, in the order of the frames.

    Attributes
    ----------
    patches
        Of each frame as cut from it, `(n, side, side, 1)`.
    anomalous
        Of each frame which of them are anomalous by the thesis's protocol, `(n,)`.
    normal_weight
        How many normal patches a normal one of the sample stands for, where an anomalous one
        stands for one.
    """

    patches: tuple[NDArray, ...]
    anomalous: tuple[Mask, ...]
    normal_weight: float

    @classmethod
    def draw(
        cls, frames: Sequence[MaskedFrame], patch_px: int, count: int, seed: int
    ) -> LabelSample:
        """`count` patches of all frames together, a third of them anomalous.

        Where the frames have fewer of a label, the sample has all of those, and is smaller.
        """
        protocol = ThesisProtocol()
        labels: list[Mask] = []
        for files in frames:
            frame, mask = files.read(patch_px)
            labels.append(protocol.labels(protocol.grid(frame.shape, patch_px), mask))
        chosen, normal_weight = _draw(np.concatenate(labels), count, np.random.default_rng(seed))
        chosen_of_frames = np.split(chosen, np.cumsum([len(each) for each in labels])[:-1])
        patches, anomalous = [], []
        for files, of_frame, mine in zip(frames, labels, chosen_of_frames, strict=True):
            if mine.any():
                frame, _ = files.read(patch_px)
                grid = protocol.grid(frame.shape, patch_px)
                patches.append(grid.cut_chosen(frame.image, mine))
                anomalous.append(of_frame[mine])
        return cls(tuple(patches), tuple(anomalous), normal_weight)

    def measure(self, scores: Scores, threshold: float) -> Metrics:
        """Metrics of the scores of all patches `(n,)`; `threshold` is the calibrated one."""
        ends = np.cumsum([len(each) for each in self.anomalous])[:-1]
        samples = [
            frame_samples(values, anomalous)
            for values, anomalous in zip(np.split(scores, ends), self.anomalous, strict=True)
        ]
        return measure(samples, threshold, normal_weight=self.normal_weight)


def _draw(anomalous: Mask, count: int, random: np.random.Generator) -> tuple[Mask, float]:
    """Which patches the sample has, and its `normal_weight`."""
    chosen = np.zeros(len(anomalous), bool)
    wanted = round(count * ANOMALOUS_SHARE)
    patches_a_sample = []
    for label, most in ((True, wanted), (False, count - wanted)):
        there = np.flatnonzero(anomalous == label)
        drawn = random.choice(there, min(most, len(there)), replace=False)
        chosen[drawn] = True
        patches_a_sample.append(len(there) / max(1, len(drawn)))
    of_anomalous, of_normal = patches_a_sample
    return chosen, of_normal / of_anomalous if of_anomalous else 1.0

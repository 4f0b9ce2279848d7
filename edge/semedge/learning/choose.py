"""Chooses the detector's variant by defects that are planted into normal frames.

Each candidate differs from the default in one large thing. A candidate must find planted defects
better than the default by a margin, since planted defects are not those to come: they show what
suits a material only where the difference is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semedge.inference.feature_manifest import Candidate
from semedge.learning.learner import Learner
from semedge.learning.plan import Plan
from semedge.learning.planting import KINDS, plant
from semedge.learning.score_fit import NormalMaps


@dataclass(frozen=True)
class PlantedMaps:
    """Maps of a normal frame with a planted defect.

    Attributes
    ----------
    fold
        Fold of the frame; the models that made the maps were fitted without it.
    kind
        The kind of defect.
    maps
        The maps.
    """

    fold: int
    kind: str
    maps: NormalMaps


def plant_defects(learner: Learner, count: int, seed: int) -> list[PlantedMaps]:
    """Maps of about `count` normal frames with one defect each, every kind in turn."""
    random = np.random.default_rng(seed)
    names = list(KINDS)
    hidden = learner.hidden_pixels()
    kept = learner.kept
    per_frame = max(1, round(count / len(kept)))
    chosen = [kept[at] for at in np.linspace(0, len(kept) - 1, min(count, len(kept))).astype(int)]
    planted: list[PlantedMaps] = []
    for index in chosen:
        for _ in range(per_frame):
            kind = names[len(planted) % len(names)]
            other = learner.frames[kept[int(random.integers(len(kept)))]]
            image = plant(learner.frames[index], other, kind, random, hidden)
            fold = int(learner.folds[index])
            planted.append(PlantedMaps(fold, kind, learner.maps_of(image, fold)))
    return planted


def judge_candidate(
    name: str, learner: Learner, planted: Sequence[PlantedMaps], plan: Plan
) -> Candidate:
    """How well a plan separates planted from clean frames that its models were not fitted to."""
    clean: list[float] = []
    found: dict[str, list[float]] = {}
    for fold in range(int(learner.folds.max()) + 1):
        others = [index for index in learner.kept if learner.folds[index] != fold]
        fitted = learner.score(plan, others or None)
        clean += [
            fitted.frame_score(learner.maps[index])
            for index in learner.kept
            if learner.folds[index] == fold
        ]
        for each in planted:
            if each.fold == fold:
                found.setdefault(each.kind, []).append(fitted.frame_score(each.maps))
    kinds = {
        kind: round(auroc(np.array(clean), np.array(scores)), 4) for kind, scores in found.items()
    }
    return Candidate(name=name, auroc=round(float(np.mean(list(kinds.values()))), 4), kinds=kinds)


def auroc(clean: NDArray[np.float64], planted: NDArray[np.float64]) -> float:
    """Probability that a planted frame scores above a clean one; ties count half."""
    below = (clean[:, None] < planted[None]).mean()
    return float(below + 0.5 * (clean[:, None] == planted[None]).mean())

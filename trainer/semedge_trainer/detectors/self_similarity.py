"""Self-similarity of pretrained features (Napoletano, Piccoli and Schettini 2018; thesis 2.1.1).

Features of normal patches by a network that was trained on photographs are reduced by principal
components and clustered by k-means; the centres are a dictionary of what normal patches look like.
A patch is scored by the mean distance of its features to the nearest words of the dictionary.

Differences from the paper, with the reason:

- EfficientNet-Lite0 up to its third group of blocks, whose cells of 8 px are averaged over the
patch, stands
  in for ResNet-18 up to its average pooling: its weights come in a package, and the cells of later
  groups are so wide that the border of a patch of 32 px is in all of them.
- A fixed number of components, where the paper keeps 95 % of the variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from keras import Model, layers
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from semedge.core.errors import SemedgeError
from semedge_trainer.components.blocks import Network
from semedge_trainer.components.efficientnet import build_trunk
from semedge_trainer.detectors.base import (
    FIT_SCHEDULES,
    Array,
    Arrays,
    FittedDetector,
    Networks,
    ScorePlan,
    node,
)

TAP = 3
"""Group of blocks of EfficientNet-Lite0 whose features are taken."""


@dataclass(frozen=True)
class Options:
    """Words of the dictionary, and components that the features are reduced to."""

    words: int = 100
    components: int = 32


class SelfSimilarity(FittedDetector):
    """The pretrained network, the dictionary and the score."""

    name = "self-similarity"
    thesis_section = "2.1.1"
    options_class = Options
    schedules: ClassVar = FIT_SCHEDULES
    options: Options

    def build(self) -> dict[str, Network]:
        """The pretrained network, averaged over the patch."""
        trunk = build_trunk((TAP,), (self.patch_px, self.patch_px))
        values = layers.GlobalAveragePooling2D(name="average")(trunk.output)
        return {"features": Model(trunk.input, values, name="features")}

    def score_plan(self) -> ScorePlan:
        """Mean distance to the nearest words."""
        nodes = (node("f_x", "features", "x"),)
        return ScorePlan(nodes, {"self_similarity": {"self_similarity": 1.0}}, "self_similarity")

    def fitting(self, networks: Networks, seed: int) -> DictionaryOfFeatures:
        """Components of the features, then k-means."""
        return DictionaryOfFeatures(networks["features"], self.options, seed)


class DictionaryOfFeatures:
    """Features of the patches shown so far; 3 MB in a hundred batches of 64.

    Parameters
    ----------
    network
        Gives the features `(n, d)` of patches.
    options
        Options of the detector.
    seed
        Seed of the run.
    """

    def __init__(self, network: Network, options: Options, seed: int) -> None:
        self._network = network
        self._options = options
        self._seed = seed
        self._features: list[Array] = []

    def take(self, patches: Array) -> dict[str, float]:
        """Keep the features of a batch."""
        self._features.append(np.asarray(self._network(patches, training=False)))
        return {"patches": float(sum(map(len, self._features)))}

    def arrays(self) -> Arrays:
        """Mean, projection and words."""
        features = np.concatenate(self._features)
        if len(features) < self._options.words:
            raise SemedgeError(
                f"{self._options.words} words need as many patches, and {len(features)} were "
                "shown; give more steps or fewer words."
            )
        components = PCA(self._options.components, random_state=self._seed).fit(features)
        clusters = KMeans(self._options.words, n_init=1, random_state=self._seed)
        clusters.fit(components.transform(features))
        return {
            "words_mean": components.mean_.astype(np.float32),
            "words_projection": components.components_.T.astype(np.float32),
            "words": clusters.cluster_centers_.astype(np.float32),
        }

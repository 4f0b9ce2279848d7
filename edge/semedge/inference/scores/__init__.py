"""Anomaly scores of patches, as plain NumPy functions.

A score function's parameters are the names of the tensors that it needs: `x` the patches,
`y` = G(E(x)) their reconstruction, `z` = E(x) their latent, `h_x` and `h_y` the discriminator's
embeddings, `d_x` and `d_y` its reconstructions, `f_x` and `f_y` a discriminator's features, `z_y`
the latent that a second encoder finds in `y`, `f_ab` and `l_ab` the features and the logit that a
discriminator of pairs gives (a, b). The detector computes only the tensors that the
requested scores need. The trainer uses the same functions.

Norms run over everything but the batch and are not squared.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping

import numpy as np

from semedge.inference.scores import features, reconstruction, statistics
from semedge.inference.scores.distances import ScoreFunction, Tensor

SCORES: dict[str, ScoreFunction] = {
    function.__name__: function
    for module in (reconstruction, statistics, features)
    for function in module.SCORES
}

TENSORS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(function).parameters) for name, function in SCORES.items()
}
"""Names of the tensors that each score is computed from."""


def tensors_needed(score_names: Iterable[str]) -> set[str]:
    """Names of the tensors that these scores are computed from."""
    return {tensor for name in score_names for tensor in TENSORS[name]}


def weighted_score(weights: Mapping[str, float], tensors: Mapping[str, Tensor]) -> Tensor:
    """Weighted sum of elementary scores, shape `(n,)`."""
    terms = [
        np.float32(weight) * SCORES[name](*(tensors[tensor] for tensor in TENSORS[name]))
        for name, weight in weights.items()
    ]
    total: Tensor = np.sum(terms, axis=0)
    return total

"""Pictures of what the networks draw."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from semedge_trainer.components.blocks import LATENT, Network
from semedge_trainer.detectors.base import Reconstructing, Sampling, TrainableDetector

ENLARGEMENT = 3
GAP_PX = 2


def gallery(
    detector: TrainableDetector, networks: Mapping[str, Network], patches: tf.Tensor, seed: int
) -> bytes:
    """PNG with a row of patches and, as far as the detector has them, reconstructions, samples."""
    rows = [patches]
    if isinstance(detector, Reconstructing):
        rows.append(detector.reconstruct(networks, patches))
    if isinstance(detector, Sampling):
        z = tf.random.stateless_normal((len(patches), LATENT), [seed, 1])
        rows.append(detector.sample(networks, z))
    picture = np.concatenate([_row(np.asarray(row)) for row in rows])
    enlarged = cv2.resize(
        picture, None, fx=ENLARGEMENT, fy=ENLARGEMENT, interpolation=cv2.INTER_NEAREST
    )
    return cv2.imencode(".png", enlarged)[1].tobytes()


def _row(patches: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Patches `(n, h, w, 1)` in [-1, 1] side by side, with gaps."""
    gray = ((np.clip(patches[..., 0], -1, 1) + 1) * 127.5).astype(np.uint8)
    framed = np.pad(gray, ((0, 0), (0, GAP_PX), (0, GAP_PX)), constant_values=255)
    row: NDArray[np.uint8] = np.concatenate(list(framed), axis=1)
    return row

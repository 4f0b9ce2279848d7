"""Early stopping by normal patches that are not trained on (thesis 5.5).

What is watched is the reconstruction of the patches held out, or their energy: the thesis names
"a training with validation that is based on the reconstruction of the image", without figures.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from semedge.core.files import write_atomically
from semedge_trainer.detectors.base import Networks

VALIDATE_EVERY = 100
BATCHES = 8

Watched = Callable[[Networks, tf.Tensor], tf.Tensor]


class Validation(tf.Module):
    """What a stage makes of the patches held out, step by step; its state is in checkpoints.

    Parameters
    ----------
    watched
        Mean over patches of what is watched, by networks in inference mode.
    networks
        Those that are trained.
    patches
        Batches of patches that were held out.
    patience
        Validations without a new least value, after which a stage ends.
    log_path
        Where the values are written, as `step,value`.
    """

    def __init__(
        self,
        watched: Watched,
        networks: Networks,
        patches: tf.data.Dataset,
        patience: int,
        log_path: Path,
    ) -> None:
        super().__init__()
        self.least = tf.Variable(np.inf, dtype=tf.float32, trainable=False)
        self.least_at = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._batches = list(patches.take(BATCHES))
        self._watch = tf.function(lambda x: watched(networks, x), autograph=False)
        self._patience_steps = patience * VALIDATE_EVERY
        self._log_path = log_path

    def take(self, step: int) -> None:
        """Watch the patches after a step, if it is one of every hundred."""
        if step % VALIDATE_EVERY:
            return
        value = float(np.mean([float(self._watch(batch)) for batch in self._batches]))
        if value < float(self.least.numpy()):
            self.least.assign(value)
            self.least_at.assign(step)
        self._log(step, value)

    def ends(self, step: int) -> bool:
        """Whether a stage ends after a step, its least value being too long ago."""
        return step - int(self.least_at.numpy()) >= self._patience_steps

    def _log(self, step: int, value: float) -> None:
        """Add a row; rows of steps that are trained again are dropped."""
        rows = []
        if self._log_path.exists():
            rows = list(csv.reader(io.StringIO(self._log_path.read_text())))[1:]
        before = [row for row in rows if int(row[0]) < step]
        buffer = io.StringIO()
        csv.writer(buffer).writerows([["step", "value"], *before, [step, f"{value:.6g}"]])
        write_atomically(self._log_path, buffer.getvalue().encode())

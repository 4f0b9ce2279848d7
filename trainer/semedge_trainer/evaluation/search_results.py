"""What searches for latents found, kept in the run folder: an interrupted evaluation goes on.

One file a batch, `searches/DIGEST.npy`, float32, shape `(n,)`; the digest is of all that the scores
depend on.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge_trainer.training.run import Run, npy_content, package_versions

logger = logging.getLogger(__name__)


class SearchResults:
    """The scores of the batches that were searched, by a run's weights and a search's settings.

    Parameters
    ----------
    run
        A finished run; its folder keeps the files. Where that cannot be written, nothing is kept,
        which is said once.
    settings
        What else the scores depend on, but for score, patches and seed.
    """

    def __init__(self, run: Run, **settings: object) -> None:
        self._folder = run.folder / "searches"
        self._settings = {
            **settings,
            "packages": package_versions(),
            "weights": [_digest(path) for path in sorted((run.folder / "weights").iterdir())],
        }
        self._taken_up = self._unwritable = False

    def find(self, score_name: str, patches: NDArray[np.float32], seed: int) -> NDArray | None:
        """The scores of a batch, `(n,)`; None where it was not searched, or its file is damaged."""
        path = self._path(score_name, patches, seed)
        try:
            scores = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if (scores.shape, scores.dtype) != (patches.shape[:1], np.float32):
            return None
        if not self._taken_up:
            self._taken_up = True
            logger.info(f"{self._folder} has the results of earlier searches; they are taken up.")
        return np.asarray(scores)

    def keep(
        self, score_name: str, patches: NDArray[np.float32], seed: int, scores: NDArray
    ) -> None:
        """Write the scores of a batch, `(n,)`."""
        if self._unwritable:
            return
        path = self._path(score_name, patches, seed)
        try:
            write_atomically(path, npy_content(scores.astype(np.float32)))
        except SemedgeError as error:
            self._unwritable = True
            logger.warning(f"{error} A search that is interrupted will begin anew.")

    def _path(self, score_name: str, patches: NDArray[np.float32], seed: int) -> Path:
        asked = {**self._settings, "score": score_name, "seed": seed, "shape": patches.shape}
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
        digest.update(np.ascontiguousarray(patches).tobytes())
        return self._folder / f"{digest.hexdigest()}.npy"


def _digest(path: Path) -> str:
    return f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}"

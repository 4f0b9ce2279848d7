"""What the scorers of a run in TensorFlow have in common."""

from __future__ import annotations

from semedge_trainer.detectors.base import TrainableDetector
from semedge_trainer.training.run import Run


class RunScorer:
    """The facts of a finished run, whose networks score patches without a bundle.

    Parameters
    ----------
    run
        The run.
    detector
        Its detector.
    """

    def __init__(self, run: Run, detector: TrainableDetector) -> None:
        self.facts = {
            "path": str(run.folder),
            "name": run.record.detector,
            "steps": dict(run.record.steps),
            "seed": run.record.seed,
            "options": dict(run.record.options),
        }
        self.bundle = None
        self.whole_frames = False
        self.patch_px = self.stride_px = detector.patch_px
        self.trained_on = run.record.frame_sha256
        self.bits = run.record.bits
        self._scaling = run.record.scaling

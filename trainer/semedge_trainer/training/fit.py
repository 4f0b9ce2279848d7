"""What is fitted to normal patches or frames without gradients, after the stages of a training.

A fit keeps no checkpoint: it takes minutes at most, and one that was interrupted starts again. The
batches are those of the training's pipeline, so that the same record and frames give the same
arrays.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from semedge.core.errors import SemedgeError
from semedge_trainer.detectors.base import Arrays, Networks, TrainableDetector
from semedge_trainer.detectors.whole_frame import FrameDetector
from semedge_trainer.training.frames import TrainingFrames
from semedge_trainer.training.patches import patch_dataset
from semedge_trainer.training.progress import StageLog
from semedge_trainer.training.run import Run

FIT = "fit"
"""Name of the fit in schedules and logs."""


def fit(
    run: Run,
    networks: Networks,
    frames: TrainingFrames,
    make_log: Callable[[Run, str, int], StageLog],
) -> Arrays:
    """Run the detector's fit from its start; gives its arrays, none where it has no fit.

    Raises `SemedgeError` where an array holds a value that is no number.
    """
    detector = run.detector()
    if isinstance(detector, FrameDetector):
        arrays = detector.fit_frames(networks, frames.images)
    else:
        arrays = _fit_patches(run, detector, networks, frames, make_log)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise SemedgeError(
                f"The fit of {detector.name} ended with {name} that is no number; train on frames "
                "that are not all of one gray."
            )
    return arrays


def _fit_patches(
    run: Run,
    detector: TrainableDetector,
    networks: Networks,
    frames: TrainingFrames,
    make_log: Callable[[Run, str, int], StageLog],
) -> Arrays:
    fitting = detector.fitting(networks, run.record.seed)
    if fitting is None:
        return {}
    batches = detector.schedule.steps[FIT]
    dataset = patch_dataset(
        frames,
        patch_px=detector.patch_px,
        batch=run.record.batch,
        seed=run.record.seed,
        first_step=0,
        scaling=run.record.scaling,
    )
    with make_log(run, FIT, batches) as log:
        log.start(0)
        for index, patches in enumerate(dataset.take(batches)):
            log.record(index + 1, fitting.take(patches.numpy()))
    return fitting.arrays()

"""From normal frames to a finished run folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import tensorflow as tf

from semedge.core.errors import SemedgeError
from semedge.core.view import WHOLE, ViewSettings
from semedge.inference.scaling import Scaling
from semedge_trainer.detectors import make_detector, package_of
from semedge_trainer.detectors.base import (
    Arrays,
    FittedDetector,
    Networks,
    TrainableDetector,
    TrainedDetector,
)
from semedge_trainer.detectors.whole_frame import FrameDetector
from semedge_trainer.training.devices import compiles
from semedge_trainer.training.frames import TrainingFrames, read_training_frames
from semedge_trainer.training.loop import train
from semedge_trainer.training.patches import patch_dataset
from semedge_trainer.training.progress import StageLog
from semedge_trainer.training.run import SAMPLE_PATCHES, Run, RunRecord, package_versions

PICTURES_A_STAGE = 8
SAMPLE_FRAMES = 16
MOST_HELD_OUT = 0.5
FIT = "fit"
"""Name of the fit in schedules and logs."""


@dataclass(frozen=True)
class TrainingRequest:
    """What a person asks for with `semedge train`."""

    detector: str
    source: str
    settings: Mapping[str, str]
    schedule: str = "fast"
    steps: int | None = None
    seed: int = 0
    scaling: Scaling = "range"
    mixed_precision: bool = False
    view: ViewSettings = WHOLE
    validation_share: float = 0.0
    patience: int = 5

    def __post_init__(self) -> None:
        if not 0.0 <= self.validation_share <= MOST_HELD_OUT:
            raise SemedgeError(
                f"The share of the frames that is held out must be between 0 and {MOST_HELD_OUT}. "
                f"Received: {self.validation_share}"
            )


def start_run(folder: Path, request: TrainingRequest) -> tuple[Run, TrainingFrames]:
    """Read the frames and start the run folder."""
    detector = make_detector(request.detector, request.settings, request.schedule, request.steps)
    frames = read_training_frames(request.source, detector.patch_px, view=request.view)
    if request.validation_share:
        _check_validation(detector, frames, request.validation_share)
    record = RunRecord(
        detector=request.detector,
        options=dataclasses.asdict(detector.options),
        schedule=request.schedule,
        steps=dict(detector.schedule.steps),
        learning_rates=dict(detector.schedule.learning_rates),
        batch=detector.schedule.batch,
        seed=request.seed,
        scaling=request.scaling,
        mixed_precision=request.mixed_precision,
        source=request.source,
        bits=request.view.bits,
        crop_top_px=request.view.crop_top_px,
        crop_bottom_px=request.view.crop_bottom_px,
        crop_left_px=request.view.crop_left_px,
        crop_right_px=request.view.crop_right_px,
        validation_share=request.validation_share,
        patience=request.patience,
        frame_names=frames.names,
        frame_sha256=frames.sha256,
        frame_shape=frames.shape,
        intensity=frames.intensity,
        packages=package_versions(package_of(request.detector)),
        created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    if isinstance(detector, FrameDetector):
        if request.scaling != "range":
            raise SemedgeError(
                f"{detector.name} takes frames as they are; leave out --scaling {request.scaling}."
            )
        return Run.create(folder, record, frames.some(SAMPLE_FRAMES)), frames
    patches = frames.sample(SAMPLE_PATCHES, detector.patch_px, request.seed)
    return Run.create(folder, record, patches), frames


def _check_validation(detector: TrainableDetector, frames: TrainingFrames, share: float) -> None:
    stages = detector.stages() if isinstance(detector, TrainedDetector) else ()
    if not any(stage.watched for stage in stages):
        raise SemedgeError(
            f"{detector.name} has no stage that a validation could stop; leave out "
            "--validation-share."
        )
    frames.split(share, detector.patch_px)


def resume_run(folder: Path, source: str | None) -> tuple[Run, TrainingFrames]:
    """Open a run folder and read its frames again; other frames are refused."""
    run = Run.open(folder)
    frames = read_training_frames(
        source or run.record.source,
        run.detector().patch_px,
        view=run.record.view,
    )
    if frames.sha256 != run.record.frame_sha256:
        raise SemedgeError(
            f"The frames of {source or run.record.source} are not those that {folder} was started "
            "with; give the same frames with --images, or start a new run."
        )
    return run, frames


def finish_run(
    run: Run,
    frames: TrainingFrames,
    strategy: tf.distribute.Strategy,
    *,
    jit_compile: bool | None = None,
) -> None:
    """Train to the end and write the weights; see `semedge_trainer.training.devices.compiles`."""

    def make_log(run: Run, stage_name: str, steps: int) -> StageLog:
        return StageLog(run.folder, stage_name, steps, max(1, steps // PICTURES_A_STAGE))

    networks = train(run, frames, strategy, make_log, jit_compile=compiles(strategy, jit_compile))
    run.write_weights(networks, fit(run, networks, frames, make_log))


def fit(
    run: Run,
    networks: Networks,
    frames: TrainingFrames,
    make_log: Callable[[Run, str, int], StageLog],
) -> Arrays:
    """Run the detector's fit from its start; gives its arrays, none where it has no fit.

    A fit has no gradients and keeps no checkpoint: it takes minutes at most, and one that was
    interrupted starts again. Its batches are those of the training's pipeline, so that the same
    record and frames give the same arrays.

    Raises `SemedgeError` where an array holds a value that is NaN or infinite.
    """
    detector = run.detector()
    arrays: Arrays = {}
    if isinstance(detector, FrameDetector):
        arrays = detector.fit_frames(networks, frames.images)
    elif isinstance(detector, FittedDetector):
        arrays = _fit_patches(run, detector, networks, frames, make_log)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise SemedgeError(
                f"The fit of {detector.name} ended with {name} that is NaN or infinite; train on "
                "frames that are not all of one gray."
            )
    return arrays


def _fit_patches(
    run: Run,
    detector: FittedDetector,
    networks: Networks,
    frames: TrainingFrames,
    make_log: Callable[[Run, str, int], StageLog],
) -> Arrays:
    fitting = detector.fitting(networks, run.record.seed)
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

"""Early stopping by patches that are held out."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from semedge.core.errors import SemedgeError
from semedge_trainer.detectors import make_detector
from semedge_trainer.training import validation as module
from semedge_trainer.training.devices import choose_strategy
from semedge_trainer.training.frames import TrainingFrames
from semedge_trainer.training.loop import train
from semedge_trainer.training.progress import StageLog
from semedge_trainer.training.run import Run
from semedge_trainer.training.train import TrainingRequest, start_run
from semedge_trainer.training.validation import Validation

StartRun = Callable[..., tuple[Run, TrainingFrames]]


def frames_of(*heights: int) -> TrainingFrames:
    images = [np.arange(height * 40, dtype=np.uint16).reshape(height, 40) for height in heights]
    return TrainingFrames(tuple(images), tuple(f"{height}.png" for height in heights))


def test_no_pixel_is_in_both_parts() -> None:
    frames = frames_of(200, 80)
    trained, held_out = frames.split(0.25, 32)
    assert [image.shape for image in trained.images] == [(150, 40), (48, 40)]
    assert [image.shape for image in held_out.images] == [(50, 40), (32, 40)]
    for whole, *parts in zip(frames.images, trained.images, held_out.images, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_frame_that_is_too_low_for_both_parts_is_refused() -> None:
    with pytest.raises(SemedgeError, match=r"63\.png is 63 px .*32 px"):
        frames_of(200, 63).split(0.1, 32)


def test_a_stage_ends_when_its_patches_get_no_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "VALIDATE_EVERY", 10)
    values = {10: 3.0, 20: 2.0, 30: 2.5, 40: 2.0, 50: 4.0}
    now = tf.Variable(0.0)
    batches = tf.data.Dataset.from_tensors(tf.zeros((2, 4, 4, 1)))
    log_path = tmp_path / "logs.csv"
    validation = Validation(lambda networks, x: now, {}, batches, 2, log_path)
    ended = []
    for step in range(1, 51):
        if step in values:
            now.assign(values[step])
        validation.take(step)
        if validation.ends(step):
            ended.append(step)
    assert ended[0] == 40
    assert float(validation.least) == 2.0
    assert int(validation.least_at) == 20
    now.assign(9.0)
    validation.take(30)
    rows = list(csv.reader(log_path.read_text().splitlines()))
    assert rows == [["step", "value"], ["10", "3"], ["20", "2"], ["30", "9"]]


@pytest.mark.parametrize("share", [-0.1, 0.6])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(SemedgeError, match=f"{share}"):
        TrainingRequest("ganomaly", "sim:5", {}, validation_share=share)


@pytest.mark.parametrize("name", ["anogan", "pca"])
def test_a_detector_without_anything_to_watch_is_refused(tmp_path: Path, name: str) -> None:
    request = TrainingRequest(name, "sim:5?frames=2", {}, steps=2, validation_share=0.2)
    with pytest.raises(SemedgeError, match=name):
        start_run(tmp_path / "run", request)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "watched"),
    [
        ("f-anogan", {"gan": False, "encoder": True}),
        ("sencebgan", {"ebgan": True, "encoder": True, "reconstruction": False}),
        ("bigan", {"gan": True}),
    ],
)
def test_stages_that_reconstruct_or_have_an_energy_are_watched(
    name: str, watched: dict[str, bool]
) -> None:
    stages = make_detector(name, {}, "fast").stages()
    assert {stage.name: stage.watched is not None for stage in stages} == watched


def test_a_training_that_stopped_early_stays_stopped(
    tmp_path: Path, start_small_run: StartRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "VALIDATE_EVERY", 1)
    request = TrainingRequest(
        "autoencoder", "sim:5?frames=2", {}, steps=9, validation_share=0.2, patience=1
    )
    run, frames = start_small_run(tmp_path / "run", request, batch=2)
    monkeypatch.setattr(
        Validation, "ends", lambda self, step: step >= 3 and bool(self.least_at.numpy())
    )
    taken = []
    monkeypatch.setattr(
        StageLog, "record", lambda self, step, losses: taken.append(step), raising=True
    )

    def log(run: Run, stage: str, steps: int) -> StageLog:
        return StageLog(run.folder, stage, steps, 100)

    for _ in range(2):
        train(run, frames, choose_strategy(["cpu:0"]), log, save_every=1)
    assert taken == [1, 2, 3]

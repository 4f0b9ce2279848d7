"""The trainer sees frames without their information bar, and masks that fit what is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from ablations import make_frames, planned
from bundles import normal_frames
from information_bars import with_bar

from semedge.core.errors import RefusedError
from semedge.core.view import FrameView, ViewSettings
from semedge.inference.bundle import frame_sha256
from semedge.inference.grid import PatchGrid
from semedge_trainer.ablation.cell import compute_cell
from semedge_trainer.ablation.plan import CellJob
from semedge_trainer.evaluation.masks import match_masks, unseen_normal_frames
from semedge_trainer.training.run import Run
from semedge_trainer.training.train import TrainingRequest, resume_run, start_run

BAR_PX = 40
DIGESTS = [frame_sha256(image) for image in normal_frames()]


@pytest.fixture
def barred(tmp_path: Path) -> Path:
    """Normal frames with a bar below."""
    folder = tmp_path / "barred"
    folder.mkdir()
    for number, image in enumerate(normal_frames()):
        cv2.imwrite(str(folder / f"{number}.png"), with_bar(image, BAR_PX))
    return folder


def test_a_training_keeps_to_its_crop(barred: Path, tmp_path: Path) -> None:
    request = TrainingRequest(
        "patch-statistics", str(barred), {}, view=ViewSettings(crop_bottom_px=BAR_PX)
    )
    _, frames = start_run(tmp_path / "run", request)
    assert list(frames.sha256) == DIGESTS
    resumed, again = resume_run(tmp_path / "run", None)
    assert resumed.record.crop_bottom_px == BAR_PX
    assert again.sha256 == frames.sha256


@pytest.mark.parametrize("mask_has_bar", [True, False])
def test_a_mask_fits_with_the_bar_or_without(
    barred: Path, tmp_path: Path, mask_has_bar: bool
) -> None:
    (tmp_path / "masks").mkdir()
    truth = np.zeros((192, 256), bool)
    truth[150:192, 20:60] = True
    mask = np.pad(truth, ((0, BAR_PX if mask_has_bar else 0), (0, 0)))
    for path in barred.iterdir():
        cv2.imwrite(str(tmp_path / "masks" / path.name), mask.astype(np.uint8))
    frames = match_masks(barred, tmp_path / "masks", FrameView(ViewSettings(crop_bottom_px=BAR_PX)))
    for frame, normal in zip(frames, normal_frames(), strict=True):
        shown, cropped = frame.read(32)
        np.testing.assert_array_equal(shown.image, normal)
        np.testing.assert_array_equal(cropped, truth)


def test_frames_of_the_training_are_known_without_their_bar(barred: Path) -> None:
    with pytest.raises(RefusedError, match="6 of the 6"):
        unseen_normal_frames(barred, DIGESTS, FrameView(ViewSettings(crop_bottom_px=BAR_PX)))
    assert len(unseen_normal_frames(barred, DIGESTS, FrameView())) == 6


@pytest.mark.slow
def test_a_cell_of_an_ablation_sees_no_bar(tmp_path: Path) -> None:
    """Neither its training nor its patches, which are those of frames without one."""
    request = replace(make_frames(tmp_path), seeds={"ganomaly": [0]}, crop_bottom_px=BAR_PX)
    bare = [cv2.imread(str(path), 0) for path in sorted((tmp_path / "normal").iterdir())]
    for kind in ("normal", "test"):
        for path in (tmp_path / kind).iterdir():
            cv2.imwrite(str(path), with_bar(cv2.imread(str(path), 0), BAR_PX))
    settings = planned(replace(request, quantization="float32"))[0]
    job = CellJob(
        settings=settings,
        images=request.images,
        test_images=str(request.test_images),
        masks=str(request.masks),
        run_folder=str(tmp_path / "run"),
        threads=1,
    )
    result = compute_cell(job).result
    record = Run.open(tmp_path / "run").record
    assert record.frame_sha256 == tuple(frame_sha256(image) for image in bare)
    assert result.patches == 2 * len(PatchGrid(bare[0].shape, 32, 16))


def test_the_bits_of_a_training_are_in_its_record_and_its_bundle(tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for number, image in enumerate(normal_frames()):
        cv2.imwrite(str(folder / f"{number}.png"), image.astype(np.uint16) << 4)
    request = TrainingRequest("patch-statistics", str(folder), {}, view=ViewSettings(bits=12))
    run, frames = start_run(tmp_path / "run", request)
    assert run.record.view == ViewSettings(bits=12)
    assert max(int(image.max()) for image in frames.images) > 4095
    training = run.record.provenance("4.2")
    assert training.bits == 12
    assert training.model_dump()["bits"] == 12
    assert "bits" not in run.record.model_copy(update={"bits": None}).provenance("4.2").model_dump()

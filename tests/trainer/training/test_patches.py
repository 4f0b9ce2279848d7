"""Random patches: seeded, inside the frames, of every frame."""

from __future__ import annotations

import numpy as np
import pytest

from semedge.core.errors import SemedgeError
from semedge.inference.scaling import scale_patches
from semedge_trainer.training.frames import TrainingFrames, read_training_frames
from semedge_trainer.training.patches import patch_dataset


def numbered_frames(dtype: type = np.uint16) -> TrainingFrames:
    """Frames of different sizes whose pixels tell where they are."""
    first = np.arange(40 * 50).reshape(40, 50).astype(dtype)
    second = (np.arange(64 * 36).reshape(64, 36) + 30000).astype(dtype)
    return TrainingFrames((first, second), ("first", "second"))


def patches(first_step: int = 0, count: int = 3, seed: int = 1, **settings: object) -> np.ndarray:
    dataset = patch_dataset(
        numbered_frames(), patch_px=8, batch=32, seed=seed, first_step=first_step, **settings
    )
    return np.stack([batch.numpy() for batch in dataset.take(count)])


def test_batch_depends_on_seed_and_step_alone() -> None:
    assert (patches(first_step=2, count=1)[0] == patches(count=3)[2]).all()
    assert (patches(seed=2) != patches(seed=1)).any()


def test_patches_are_crops_of_every_frame_flipped_either_way() -> None:
    values = np.round((patches() + 1) * 65535 / 2).astype(int).reshape(-1, 8, 8)
    seen = set()
    for patch in values:
        frame = int(patch.min() >= 30000)
        width = (50, 36)[frame]
        down, right = patch[1, 0] - patch[0, 0], patch[0, 1] - patch[0, 0]
        assert abs(down) == width
        assert abs(right) == 1
        corner = patch.min() - 30000 * frame
        expected = patch.min() + width * np.arange(8)[:, None] + np.arange(8)
        assert (np.sort(patch.ravel()) == np.sort(expected.ravel())).all()
        assert corner % width + 8 <= width
        seen.add((frame, down > 0, right > 0))
    assert len(seen) == 8


@pytest.mark.parametrize("scaling", ["range", "patch"])
def test_scaling_is_the_edges(scaling: str) -> None:
    raw = np.round((patches() + 1) * 65535 / 2).astype(np.uint16).reshape(-1, 8, 8, 1)
    scaled = patches(scaling=scaling).reshape(-1, 8, 8, 1)
    assert scaled == pytest.approx(scale_patches(raw, scaling), abs=2e-3)


def test_frames_smaller_than_a_patch_are_refused() -> None:
    with pytest.raises(SemedgeError, match=r"32x32 px.* 64x64 px"):
        read_training_frames("sim:1?size=32x32&frames=1", 64)

"""What the limits of health call bad on real frames: the figures of docs/how-to/cameras.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from semedge.core.frame import Frame, GrayImage
from semedge.core.images import list_images, read_image
from semedge.decision.appearance import common_appearance, measure_frame
from semedge.decision.health import CameraHealth, HealthSettings

pytestmark = pytest.mark.real_data


def frames_in(folder: Path) -> list[GrayImage]:
    return [read_image(path) for path in list_images(folder)]


def called_bad(normal: Sequence[GrayImage], images: Sequence[GrayImage]) -> Counter[str]:
    """Problems of the frames, each looked at alone."""
    appearance = common_appearance(measure_frame(Frame(image, 0, 0.0, "")) for image in normal)
    deviation = float(np.concatenate([image.ravel() for image in normal]).std()) / 255
    found: Counter[str] = Counter()
    for image in images:
        health = CameraHealth(HealthSettings(frames_to_start=1), appearance, deviation, live=False)
        seen = health.observe(Frame(image, 0, 0.0, ""), 0.0)
        found.update(change.problem for change in seen.changes)
    return found


@pytest.mark.parametrize(
    ("sigma_px", "out_of_focus"), [(0, 0), (1, 0), (1.5, 17), (2, 20), (3, 20)]
)
def test_fibres(real_data_dir: Path, sigma_px: float, out_of_focus: int) -> None:
    normal = frames_in(real_data_dir / "nanotwice" / "normal")
    images = frames_in(real_data_dir / "nanotwice" / "anomalous" / "images")
    if sigma_px:
        images = [cv2.GaussianBlur(image, (0, 0), sigma_px) for image in images]
    expected = {"out-of-focus": out_of_focus} if out_of_focus else {}
    assert called_bad(normal, images) == expected


def test_tiles(real_data_dir: Path) -> None:
    folder = real_data_dir / "magnetic_tile"
    normal = frames_in(folder / "normal" / "images")
    anomalous = [
        image
        for kind in ("blowhole", "break", "crack", "fray")
        for image in frames_in(folder / "anomalous" / kind / "images")
    ]
    assert called_bad(normal[:40], normal[40:]) == {"brightness": 10, "out-of-focus": 1}
    assert called_bad(normal[:40], anomalous) == {"brightness": 4}

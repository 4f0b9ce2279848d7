"""Frames among the normal ones that are not: named, shown, and without effect on the limits."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import with_film
from commandcall import Call
from numpy.typing import NDArray

from semedge.cameras import open_camera
from semedge.core.frame import Frame
from semedge.decision.appearance import FrameAppearance, measure_frame
from semedge.decision.contact_sheet import CAPTION_PX, draw_contact_sheet, make_thumbnail
from semedge.decision.outliers import high_scores, unlike_others

FRAMES = [frame.image for frame in open_camera("sim:77?frames=30&size=256x192")]
REQUEST = ("--method", "conformal", "--false-alarm-rate", 0.1)


def calibrated(
    call: Call, folder: Path, detector: Path, images: list[NDArray[np.uint8]], *options: object
) -> tuple[dict, str]:
    folder.mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"n{number:03d}.png"), image)
    arguments = ("--detector", detector, "--images", folder, "--out", "c.json", *options)
    result = call("calibrate", *arguments, *REQUEST)
    assert result.status == 0, result.err
    return json.loads(Path("c.json").read_text()), result.err


@pytest.mark.parametrize(("value", "what"), [(0, "black"), (255, "white")])
def test_one_black_or_white_frame_is_named_and_changes_no_limit(
    call: Call, tmp_path: Path, tiny_file: Path, value: int, what: str
) -> None:
    bad = np.full_like(FRAMES[0], value)
    clean, quiet = calibrated(call, tmp_path / "clean", tiny_file, FRAMES)
    dirty, warned = calibrated(
        call, tmp_path / "dirty", tiny_file, [*FRAMES[:20], bad, *FRAMES[20:]]
    )
    assert dirty["appearance"] == clean["appearance"]
    assert "unlike" not in quiet
    assert f"n020.png is {what}, unlike the 30 others" in warned
    assert any("n020.png" in warning for warning in dirty["warnings"])


def test_an_anomalous_frame_among_the_normal_ones_is_named_and_shown(
    call: Call, tmp_path: Path, tiny_file: Path
) -> None:
    images = [*FRAMES[:20], with_film(FRAMES[20])]
    _, told = calibrated(
        *(call, tmp_path / "in", tiny_file, images, "--contact-sheet", "sheet.png")
    )
    assert "1 frame scores far above the median" in told
    (line,) = (line for line in told.splitlines() if line.startswith("The highest scores"))
    assert "n020.png" in line.partition(" are ")[2].split(",")[0]
    sheet = cv2.imread("sheet.png")
    assert sheet.shape == (3 * (240 + CAPTION_PX), 4 * 320, 3)
    assert (sheet != 255).any(axis=2).mean() > 0.5


def test_a_second_kind_of_normal_frames_is_no_outlier() -> None:
    dark = [measure_frame_of(image) for image in FRAMES[:20]]
    bright = [measure_frame_of(image // 4 + 190) for image in FRAMES[20:]]
    assert unlike_others([*dark, *bright]) == {}
    assert list(unlike_others([*dark, bright[0]])) == [20]
    assert unlike_others([dark[0], bright[0]]) == {}


def measure_frame_of(image: NDArray[np.uint8]) -> FrameAppearance:
    return measure_frame(Frame(image))


def test_high_scores_are_far_from_the_others_not_just_the_highest() -> None:
    scores = list(np.random.default_rng(0).gumbel(size=200))
    assert high_scores(scores) == []
    assert high_scores([*scores, 60.0, 90.0]) == [201, 200]
    assert high_scores([1.0, 50.0]) == []


def test_flat_frames_leave_no_gap_on_the_sheet() -> None:
    frame = Frame(np.full((100, 400), 90, np.uint8))
    sheet = draw_contact_sheet([make_thumbnail(frame, 1.0, (5, 5))] * 5, 2.0)
    assert sheet.shape == (2 * (80 + CAPTION_PX), 4 * 320, 3)

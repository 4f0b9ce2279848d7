"""What is cropped or left out is seen by no score, no calibration and no health check."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import normal_frames
from commandcall import Call
from numpy.typing import NDArray

from semedge.cameras import CameraSettings, open_camera
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.core.images import to_gray
from semedge.core.view import FrameView, ViewSettings, frame_again
from semedge.decision.appearance import measure_frame
from semedge.decision.fields import split_frame
from semedge.decision.health import CameraHealth, HealthSettings
from semedge.inference.detector import Detector
from semedge.inference.grid import PatchGrid
from semedge_calibration import Appearance

CLOCK = (4, 4, 90, 20)
"""Left, top, width and height."""


def with_clock(image: NDArray[np.uint8], text: str = "11:20:31") -> NDArray[np.uint8]:
    stamped = image.copy()
    left, top, width, height = CLOCK
    stamped[top : top + height, left : left + width] = 0
    cv2.putText(stamped, text, (left + 4, top + 15), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    return stamped


WITHOUT_CLOCK = ViewSettings(leave_out_px=(CLOCK,))


def test_every_side_is_cropped_and_the_regions_with_it(tmp_path: Path) -> None:
    image = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60)
    crops = {"crop_top_px": 3, "crop_bottom_px": 4, "crop_left_px": 5, "crop_right_px": 6}
    mask = np.zeros((40, 60), np.uint8)
    mask[30:35, 50:58] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    settings = ViewSettings(
        **crops, leave_out_px=((10, 5, 8, 2),), leave_out_mask=tmp_path / "mask.png"
    )
    shown = FrameView(settings).show(Frame(image))
    np.testing.assert_array_equal(shown.image, image[3:36, 5:54])
    np.testing.assert_array_equal(shown.whole, image)
    assert FrameView(ViewSettings(leave_out_px=((10, 5, 8, 2),))).show(Frame(image)).whole is None
    expected = mask > 0
    expected[5:7, 10:18] = True
    np.testing.assert_array_equal(shown.left_out, expected[3:36, 5:54])


def test_colours_are_cropped_and_filled_like_the_image() -> None:
    colours = np.arange(40 * 60 * 3, dtype=np.uint16).reshape(40, 60, 3) % 4096
    frame = Frame(to_gray(colours), colours=colours)
    settings = ViewSettings(bits=12, crop_top_px=3, crop_right_px=6)
    shown = FrameView(settings).show(frame)
    assert shown.colours is not None
    np.testing.assert_array_equal(shown.colours, colours[3:, :54] << 4)
    np.testing.assert_array_equal(shown.whole, colours << 4)
    further = FrameView(ViewSettings(crop_top_px=5, crop_right_px=6)).show(shown)
    np.testing.assert_array_equal(further.colours, colours[5:, :54] << 4)
    again = frame_again(shown, settings, ViewSettings(crop_left_px=2))
    assert again.colours is not None
    assert again.colours.shape == (40, 58, 3)
    np.testing.assert_array_equal(again.colours[3:, :52], shown.colours[:, 2:])
    np.testing.assert_array_equal(to_gray(again.colours), again.image)
    for field in split_frame(shown, (20, 10), 8):
        assert field.colours is not None
        assert field.colours.shape == (10, 20, 3)


def test_a_mask_of_another_size_is_refused_by_its_name(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), np.zeros((10, 10), np.uint8))
    view = FrameView(ViewSettings(leave_out_mask=tmp_path / "mask.png"))
    with pytest.raises(SemedgeError, match=r"mask\.png has 10x10 px and the frame 60x40 px"):
        view.show(Frame(np.zeros((40, 60), np.uint8)))


def test_patches_that_reach_a_region_are_found() -> None:
    mask = np.zeros((70, 90), bool)
    mask[20:25, 40:60] = True
    grid = PatchGrid((70, 90), 16, 8)
    windows = grid.cut(mask.astype(np.uint8))
    np.testing.assert_array_equal(grid.touches(mask), windows.any(axis=(1, 2, 3)))
    wider = cv2.dilate(mask.astype(np.uint8), np.ones((11, 11), np.uint8))
    np.testing.assert_array_equal(grid.touches(mask, 5), grid.cut(wider).any(axis=(1, 2, 3)))


def test_a_clock_that_is_left_out_changes_no_score(tiny_file: Path) -> None:
    image = normal_frames()[0]
    with Detector.load(tiny_file, workers=1) as detector:
        view = FrameView(WITHOUT_CLOCK)
        scores = [
            detector.score(view.show(Frame(shown))).patch_scores
            for shown in (image, with_clock(image), with_clock(image, "99:88:77"))
        ]
        seen = detector.score(with_clock(image))
        everything = FrameView(ViewSettings(leave_out_px=((0, 0, 256, 192),)))
        with pytest.raises(SemedgeError, match="nothing is left of it"):
            detector.score(everything.show(Frame(image)))
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])
    assert seen.frame_score > scores[0].max()
    assert seen.regions(float(scores[0].max()))


def test_commands_leave_regions_out(call: Call, tmp_path: Path, tiny_file: Path) -> None:
    folder = tmp_path / "osd"
    folder.mkdir()
    for number, image in enumerate(normal_frames()):
        cv2.imwrite(str(folder / f"{number}.png"), with_clock(image, f"11:20:3{number}"))
    arguments = ("--detector", tiny_file, "--leave-out-px", ",".join(map(str, CLOCK)))
    plain = call("score", folder, "--detector", tiny_file, "--json")
    left_out = call("score", folder, *arguments, "--json")
    whole, rest = (
        [file["frame_score"] for file in json.loads(result.out)["files"]]
        for result in (plain, left_out)
    )
    assert max(rest) < min(whole)
    # Few frames: a rate that they can prove.
    calibrated = call(
        *("calibrate", "--images", folder, *arguments, "--out", "c.json"),
        *("--method", "conformal", "--false-alarm-rate", 0.4),
    )
    assert calibrated.status == 0, calibrated.err
    assert json.loads(Path("c.json").read_text())["threshold"] in rest


def test_fields_take_their_part_of_the_regions() -> None:
    shown = FrameView(WITHOUT_CLOCK).show(Frame(np.zeros((64, 128), np.uint8)))
    parts = [field.left_out for field in split_frame(shown, (64, 32), 16)]
    assert [int(part.sum()) for part in parts if part is not None] == [60 * 20, 30 * 20, 0, 0]


def test_health_measures_what_is_inspected() -> None:
    image = normal_frames()[0]
    view = FrameView(WITHOUT_CLOCK)
    assert measure_frame(view.show(Frame(with_clock(image)))) == measure_frame(
        view.show(Frame(image))
    )
    assert measure_frame(Frame(with_clock(image))) != measure_frame(Frame(image))


@pytest.mark.parametrize("settings", [ViewSettings(), WITHOUT_CLOCK])
def test_a_picture_with_a_running_clock_is_frozen_where_the_clock_is_left_out(
    settings: ViewSettings,
) -> None:
    normal = Appearance(0.0, 1.0, 0.0, 1.0, 0.0)
    health = CameraHealth(HealthSettings(), normal, 0.2, live=True)
    view = FrameView(settings)
    for second in range(20):
        image = with_clock(normal_frames()[0], f"11:20:{second:02d}")
        health.observe(view.show(Frame(image)), float(second))
    problems = [change.problem for change in health.problems]
    assert problems == (["frozen"] if settings.leave_out_px else [])


def test_values_of_fewer_bits_fill_their_type_or_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = [image.astype(np.uint16) << 4 for image in normal_frames()]
    for number, image in enumerate(wide):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    with open_camera(str(tmp_path)) as camera:
        list(camera)
    (warning,) = capsys.readouterr().err.splitlines()
    assert "no value above 4095" in warning
    assert "--bits 12" in warning
    with open_camera(str(tmp_path), settings=CameraSettings(bits=12)) as camera:
        for frame, image in zip(camera, wide, strict=True):
            np.testing.assert_array_equal(frame.image, image << 4)
    assert capsys.readouterr().err == ""
    # As a camera sends them, or a file that states its white.
    filled = FrameView(ViewSettings(bits=12)).show(Frame(wide[0] << 4))
    np.testing.assert_array_equal(filled.image, wide[0] << 4)
    wide[0][0, 0] |= 1
    cv2.imwrite(str(tmp_path / "0.png"), wide[0])
    with (
        pytest.raises(SemedgeError, match=r"0\.png has values up to \d+, which 10 bits cannot"),
        open_camera(str(tmp_path), settings=CameraSettings(bits=10)) as camera,
    ):
        list(camera)


def test_frames_that_fill_their_type_or_are_black_are_not_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = FrameView()
    bright = normal_frames()[0].astype(np.uint16) << 8
    for image in (bright, bright >> 8, bright >> 8, bright, normal_frames()[0]):
        view.show(Frame(image))
    assert capsys.readouterr().err == ""
    view.show(Frame(bright >> 4, source="few"))
    assert "few has 16 bits and no value above 4095" in capsys.readouterr().err


def test_a_bar_at_the_upper_edge_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    bar = np.zeros((40, 256), np.uint8)
    cv2.putText(bar, "EHT 5.00 kV  WD 4 mm", (8, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    frame = Frame(np.concatenate([bar, normal_frames()[0]]), source="top")
    FrameView().show(frame)
    assert "40 px at its upper edge" in (warning := capsys.readouterr().err)
    assert "--crop-top-px 40" in warning
    assert replace(frame).left_out is None


def test_the_bits_of_a_calibration_are_those_of_its_users(
    call: Call, tmp_path: Path, tiny_file: Path
) -> None:
    """Given once, to `calibrate`: `score` and `watch` take them from its file."""
    folder, eight = tmp_path / "few", tmp_path / "eight"
    for each in (folder, eight):
        each.mkdir()
    for number, image in enumerate(normal_frames()):
        cv2.imwrite(str(folder / f"{number}.png"), image.astype(np.uint16) << 4)
        cv2.imwrite(str(eight / f"{number}.png"), image)
    rate = ("--method", "conformal", "--false-alarm-rate", 0.4)
    detector = ("--detector", tiny_file)
    made = call("calibrate", "--images", folder, *detector, *rate, "--bits", 12, "--out", "c.json")
    assert made.status == 0, made.err
    assert json.loads(Path("c.json").read_text())["bits"] == 12
    plain = call("score", eight, *detector, "--json")
    scored = call("score", folder, *detector, "--calibration", "c.json", "--json")
    expected, given = (
        [file["frame_score"] for file in json.loads(result.out)["files"]]
        for result in (plain, scored)
    )
    np.testing.assert_allclose(given, expected, rtol=0.02, atol=0.02)
    watched = call(
        *("watch", "--camera", folder, *detector, "--calibration", "c.json"),
        *("--journal", "j.sqlite", "--pictures", "p"),
    )
    assert watched.status == 0, watched.err
    assert "dark" not in watched.err
    trained_on = ("--images", eight, "--allow-training-frames")
    assert call("calibrate", *trained_on, *detector, *rate, "--out", "d.json").status == 0
    assert "bits" not in json.loads(Path("d.json").read_text())

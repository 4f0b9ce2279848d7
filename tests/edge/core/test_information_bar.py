"""An information bar below the picture is found, reported once, and cut off."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import cv2
import numpy as np
import pytest
from bundles import normal_frames
from commandcall import Call
from information_bars import with_bar
from pydantic import ValidationError

from semedge.cameras import CameraSettings, open_camera
from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage
from semedge.core.images import list_images, read_image
from semedge.core.information_bar import find_information_bar
from semedge.core.view import FrameView, ViewSettings

BAR_PX = 40


def saturated(image: GrayImage) -> GrayImage:
    return np.clip(image.astype(int) * 6, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("background", [0, 30, 255])
@pytest.mark.parametrize("bar_px", [12, 24, 56])
def test_the_height_of_a_bar_is_found(bar_px: int, background: int) -> None:
    for image in normal_frames():
        assert find_information_bar(with_bar(image, bar_px, background)) == bar_px


def test_a_bar_of_16_bits_is_found() -> None:
    deep = with_bar(normal_frames()[0], BAR_PX).astype(np.uint16) * 257
    assert find_information_bar(deep) == BAR_PX


def test_compression_blurs_the_height_by_little() -> None:
    pressed = cv2.imencode(".jpg", with_bar(normal_frames()[0], BAR_PX))[1]
    found = find_information_bar(cv2.imdecode(pressed, cv2.IMREAD_UNCHANGED))
    assert BAR_PX - 4 <= found <= BAR_PX


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        saturated,
        np.zeros_like,
        lambda image: np.full_like(image, 255),
        lambda image: np.full_like(image, 90),
        lambda image: image[:32, :32],
        lambda image: image[:3],
        lambda image: np.vstack([image, np.full_like(image[:40], 5)]),
    ],
    ids=["material", "saturated", "black", "white", "gray", "tiny", "flat", "a strip unwritten"],
)
def test_nothing_else_is_taken_for_one(change: Callable[[GrayImage], GrayImage]) -> None:
    for image in normal_frames():
        assert find_information_bar(change(image)) == 0


@pytest.mark.real_data
def test_real_frames(real_data_dir: Path) -> None:
    """None of the SEM images has a bar; with one drawn below, its height is right on each."""
    folders = [real_data_dir / "nanotwice" / name for name in ("normal", "anomalous/images")]
    images = [read_image(path) for folder in folders for path in list_images(folder)]
    assert len(images) == 25
    assert {find_information_bar(image) for image in images} == {0}
    assert {find_information_bar(with_bar(image, 60)) for image in images} == {60}


def test_the_crop_must_leave_something() -> None:
    with pytest.raises(SemedgeError, match=r"crop_bottom_px = 192 .* 256x192 px"):
        FrameView(ViewSettings(crop_bottom_px=192)).crop(normal_frames()[0], "frame")
    with pytest.raises(SemedgeError, match=r"crop_left_px = 200, crop_right_px = 56 .* 256x192"):
        FrameView(ViewSettings(crop_left_px=200, crop_right_px=56)).cut(normal_frames()[0])
    with pytest.raises(ValidationError, match=r"crop_bottom_px\n.*input_value=-1"):
        CameraSettings(crop_bottom_px=-1)


@pytest.fixture
def barred(tmp_path: Path) -> Path:
    """A folder of normal frames with a bar below."""
    folder = tmp_path / "barred"
    folder.mkdir()
    for number, image in enumerate(normal_frames()):
        cv2.imwrite(str(folder / f"{number}.png"), with_bar(image, BAR_PX))
    return folder


def test_a_camera_warns_once_and_crops(barred: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_camera(str(barred)) as camera:
        frames = list(camera)
    assert {frame.shape for frame in frames} == {(192 + BAR_PX, 256)}
    (warning,) = capsys.readouterr().err.splitlines()
    assert re.match(f"Warning: {barred / '0.png'} .* 40 px .*--crop-bottom-px 40", warning)
    with open_camera(str(barred), settings=CameraSettings(crop_bottom_px=BAR_PX)) as camera:
        for frame, image in zip(camera, normal_frames(), strict=True):
            np.testing.assert_array_equal(frame.image, image)
    assert capsys.readouterr().err == ""


def test_what_is_left_of_a_bar_counts_on_from_the_crop(capsys: pytest.CaptureFixture[str]) -> None:
    FrameView(ViewSettings(crop_bottom_px=10)).crop(with_bar(normal_frames()[0], BAR_PX), "frame")
    assert "--crop-bottom-px 40," in capsys.readouterr().err


def test_threads_that_share_an_edge_warn_once(capsys: pytest.CaptureFixture[str]) -> None:
    image = with_bar(normal_frames()[0], BAR_PX)
    edge = FrameView()
    with ThreadPoolExecutor(16) as pool:
        together = Barrier(16)

        def crop(number: int) -> None:
            together.wait(timeout=10)
            edge.crop(image, f"frame {number}")

        list(pool.map(crop, range(16)))
    assert capsys.readouterr().err.count("information bar") == 1


def test_score_sees_no_bar_that_is_cropped(
    call: Call, barred: Path, images: Path, tiny_file: Path
) -> None:
    plain = call("score", images, "--detector", tiny_file, "--json")
    with_it = call("score", barred, "--detector", tiny_file, "--json")
    without = call("score", barred, "--detector", tiny_file, "--json", "--crop-bottom-px", BAR_PX)
    scores = [
        [file["frame_score"] for file in json.loads(result.out)["files"]]
        for result in (plain, with_it, without)
    ]
    assert scores[2][0] == scores[0][0]
    assert scores[1][0] > 2 * scores[2][0]
    assert with_it.err.count("information bar of 40 px") == 1
    assert "information bar" not in without.err

"""Frames that no inspection hopes for: each has a score that is well defined, or a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import PATCH_PX, normal_frames, tiny_bundle
from commandcall import Call
from frame_bundles import frame_bundle

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame, GrayImage
from semedge.inference.detector import Detector

Change = Callable[[GrayImage], GrayImage]

CHANGES: dict[str, Change] = {
    "black": np.zeros_like,
    "white": lambda image: np.full_like(image, 255),
    "gray": lambda image: np.full_like(image, 90),
    "16-bit gray": lambda image: np.full(image.shape, 40_000, np.uint16),
    "saturated": lambda image: np.clip(image.astype(int) * 6, 0, 255).astype(np.uint8),
    "smallest": lambda image: image[:PATCH_PX, :PATCH_PX],
    "odd": lambda image: image[: PATCH_PX + 1, : PATCH_PX + 15],
    "wide": lambda image: np.tile(image, (1, 3)),
}


@pytest.fixture(scope="module", params=["patches", "whole frames"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make = tiny_bundle if request.param == "patches" else frame_bundle
    return make(tmp_path_factory.mktemp("bundles") / "detector.semedge")


def as_frame(image: GrayImage) -> Frame:
    return Frame(image, 0, 0.0, "small.png")


@pytest.mark.parametrize("kind", CHANGES)
def test_unusual_frames_have_scores(kind: str, bundle: Path) -> None:
    """The same whatever came before, and for each of the frame's cells."""
    image = CHANGES[kind](normal_frames()[0])
    with Detector.load(bundle, workers=1) as fresh, Detector.load(bundle, workers=1) as used:
        alone = fresh.score(as_frame(image))
        for between in (image, normal_frames()[1], image):
            after = used.score(as_frame(between))
    assert np.isfinite(alone.patch_scores).all()
    assert alone.to_pixels().shape == image.shape
    np.testing.assert_array_equal(after.patch_scores, alone.patch_scores)


def test_a_frame_smaller_than_a_patch_is_named(tiny_file: Path) -> None:
    with (
        Detector.load(tiny_file, workers=1) as detector,
        pytest.raises(SemedgeError, match=r"^small\.png .*40x20 px"),
    ):
        detector.score(as_frame(np.zeros((20, 40), np.uint8)))


@pytest.fixture
def sizes(tmp_path: Path) -> Path:
    """A folder whose frames change their size midway, and change it back."""
    folder = tmp_path / "sizes"
    folder.mkdir()
    normal = normal_frames()
    for number, image in enumerate([normal[0], normal[1][:96], normal[2][:96], normal[3]]):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return folder


def test_a_size_that_changes_in_mid_stream_is_reported_once(
    call: Call, sizes: Path, tiny_file: Path, calibration_file: Path
) -> None:
    result = call(
        "watch", "--camera", sizes, "--detector", tiny_file, "--calibration", calibration_file
    )
    assert result.status == 0
    assert "4 frames seen, 4 inspected, 0 skipped" in result.err
    assert result.err.count("256x96 px") == 1


def test_a_calibration_on_mixed_sizes_is_refused(
    call: Call, sizes: Path, tiny_file: Path, tmp_path: Path
) -> None:
    result = call(
        *("calibrate", "--images", sizes, "--detector", tiny_file, "--out", "c.json"),
        *("--false-alarm-rate", 0.5, "--allow-training-frames"),
    )
    assert result.status == 1
    error = result.err.splitlines()[-1]
    assert str(sizes / "1.png") in error
    assert error.index("256x96 px") < error.index("256x192 px")
    assert not (tmp_path / "c.json").exists()


def test_a_calibration_on_frames_of_one_gray_counts_them_once(
    call: Call, tiny_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    for number in range(29):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((96, 96), 90, np.uint8))
    result = call(
        *("calibrate", "--images", folder, "--detector", tiny_file, "--out", "c.json"),
        *("--false-alarm-rate", 0.1),
    )
    assert result.status == 3
    assert re.search(r"\b29 independent .*10 %.*there is 1, which proves.*\b28 copies", result.err)


def test_floating_point_pixels_are_refused_with_their_file(
    call: Call, images: Path, tiny_file: Path
) -> None:
    measured = np.full((64, 64), np.nan, np.float32)
    cv2.imwrite(str(images / "nan.tif"), measured)
    result = call("score", images, "--detector", tiny_file, "--json")
    assert result.status == 0
    assert len(json.loads(result.out)["files"]) == 3
    assert re.search(f"Skipped: {images / 'nan.tif'} .*float32", result.err)

"""A video file as a camera: every frame once, lossless video exact."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from semedge.cameras import open_camera
from semedge.cameras.stream import FFMPEG_OPTIONS
from semedge.core.errors import SemedgeError
from semedge.core.images import silence_opencv

COUNT = 12


def noise(dtype: type) -> list[NDArray]:
    random = np.random.default_rng(9)
    return [random.integers(0, np.iinfo(dtype).max, (48, 64), dtype) for _ in range(COUNT)]


def write(path: Path, images: list[NDArray], codec: str = "FFV1") -> Path:
    # FFMPEG asks once how much it may say, and here it writes before anything is read.
    silence_opencv()
    height, width = images[0].shape
    depth = cv2.CV_16U if images[0].dtype == np.uint16 else cv2.CV_8U
    gray = [cv2.VIDEOWRITER_PROP_DEPTH, depth, cv2.VIDEOWRITER_PROP_IS_COLOR, 0]
    fourcc = cv2.VideoWriter.fourcc(*codec)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, 10.0, (width, height), gray)
    assert writer.isOpened()
    for image in images:
        writer.write(image)
    writer.release()
    return path


@pytest.mark.parametrize("options", [None, FFMPEG_OPTIONS], ids=["alone", "after a stream"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lossless_video_comes_back_exactly(
    tmp_path: Path, dtype: type, options: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with the options that an opened stream leaves to the whole process."""
    monkeypatch.delenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", raising=False)
    if options:
        monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", options)
    images = noise(dtype)
    path = write(tmp_path / "line.mkv", images)
    with open_camera(str(path)) as camera:
        frames = list(camera)
        assert list(camera) == []
    assert [frame.sequence for frame in frames] == list(range(COUNT))
    assert [frame.source for frame in frames] == [f"{path}#{number}" for number in range(COUNT)]
    for frame, image in zip(frames, images, strict=True):
        assert frame.image.dtype == dtype
        np.testing.assert_array_equal(frame.image, image)
    assert not camera.live


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("b.MP4", "mp4v")])
def test_lossy_video_gives_every_frame_once(tmp_path: Path, name: str, codec: str) -> None:
    shades = [np.full((48, 64), 20 + 18 * number, np.uint8) for number in range(COUNT)]
    with open_camera(str(write(tmp_path / name, shades, codec))) as camera:
        frames = list(camera)
    seen = [float(frame.image.mean()) for frame in frames]
    np.testing.assert_allclose(seen, [shade[0, 0] for shade in shades], atol=5)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_video_that_was_cut_off_is_reported(
    tmp_path: Path, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "line.mkv", noise(np.uint8))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with open_camera(str(path)) as camera:
        count = len(list(camera))
    warning = capfd.readouterr().err
    if share == 1:
        assert (count, warning) == (COUNT, "")
    else:
        assert 0 < count < COUNT
        assert re.search(rf"{path} .* {count} of .*{COUNT} frames", warning)


def test_a_loop_starts_again(tmp_path: Path) -> None:
    images = noise(np.uint8)
    with open_camera(str(write(tmp_path / "line.mkv", images)), loop=True) as camera:
        frames = [next(camera) for _ in range(2 * COUNT + 1)]
    assert [frame.sequence for frame in frames] == list(range(2 * COUNT + 1))
    for number, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.image, images[number % COUNT])


def test_a_closed_camera_gives_nothing(tmp_path: Path) -> None:
    camera = open_camera(str(write(tmp_path / "line.mkv", noise(np.uint8))))
    next(camera)
    camera.close()
    assert list(camera) == []


@pytest.mark.parametrize("size_bytes", [0, 500, 3000])
def test_a_file_without_a_frame_is_refused_in_one_message(
    tmp_path: Path, size_bytes: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "line.mkv", noise(np.uint8))
    path.write_bytes(path.read_bytes()[:size_bytes])
    with pytest.raises(SemedgeError, match=rf" {path} .*(check the path|record it again)"):
        list(open_camera(str(path)))
    assert capfd.readouterr() == ("", "")

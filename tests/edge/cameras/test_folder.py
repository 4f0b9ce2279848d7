"""A folder as a camera: every image once, in order, and nothing lost in silence."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from semedge.cameras import open_camera
from semedge.core.errors import SemedgeError


def write(folder: Path, *names: str) -> dict[str, NDArray]:
    """Images of random noise by name: 16-bit where the name says so."""
    folder.mkdir(exist_ok=True)
    written = {}
    for number, name in enumerate(names):
        dtype = np.uint16 if "16bit" in name else np.uint8
        random = np.random.default_rng(number)
        written[name] = random.integers(0, np.iinfo(dtype).max, (24, 32), dtype)
        cv2.imwrite(str(folder / name), written[name])
    return written


def test_every_image_comes_once_in_natural_order(tmp_path: Path) -> None:
    # A file system's clock is coarser.
    began_s = time.time() - 0.1
    written = write(tmp_path / "in", "f10.png", "f2.png", "f1-16bit.tif", "f3.bmp")
    with open_camera(str(tmp_path / "in")) as camera:
        frames = list(camera)
        assert list(camera) == []
    assert [Path(frame.source).name for frame in frames] == [
        "f1-16bit.tif",
        "f2.png",
        "f3.bmp",
        "f10.png",
    ]
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3]
    for frame in frames:
        image = written[Path(frame.source).name]
        assert frame.image.dtype == image.dtype
        np.testing.assert_array_equal(frame.image, image)
        assert began_s <= frame.captured_at_s <= time.time()
    assert (camera.live, camera.lost, camera.skipped) == (False, 0, [])


def test_a_frame_was_captured_when_its_file_was_changed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    written = write(folder, "a.png", "b.png", "c.png", "d.png")
    for name, changed_at_s in zip(written, (1_000.0, 3_000.0, 2_000.0, 1e11), strict=True):
        os.utime(folder / name, (changed_at_s, changed_at_s))
    now_s = time.time()
    with open_camera(str(folder)) as camera:
        *times_s, future_s = [frame.captured_at_s for frame in camera]
    # No frame is before the one that precedes it, nor in the future.
    assert times_s == [1_000.0, 3_000.0, 3_000.0]
    assert now_s <= future_s <= time.time()
    with open_camera(str(folder), loop=True) as camera:
        assert next(camera).captured_at_s >= now_s


@pytest.mark.parametrize(
    ("pattern", "names"), [("a*.png", ["a1.png", "a2.png"]), ("b1.png", ["b1.png"])]
)
def test_globs_and_single_files(tmp_path: Path, pattern: str, names: list[str]) -> None:
    write(tmp_path / "in", "a2.png", "a1.png", "b1.png")
    with open_camera(str(tmp_path / "in" / pattern)) as camera:
        assert [Path(frame.source).name for frame in camera] == names


def test_what_cannot_be_decoded_is_named_skipped_and_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    write(folder, "f1.png", "f5.png")
    (folder / "f2.png").write_bytes(b"no picture")
    (folder / "f3.png").symlink_to("absent.png")
    cv2.imwrite(str(folder / "f4.tif"), np.ones((8, 8), np.float32))
    with open_camera(str(folder)) as camera:
        frames = list(camera)
    assert [Path(frame.source).name for frame in frames] == ["f1.png", "f5.png"]
    assert [frame.sequence for frame in frames] == [0, 1]
    reasons = ("f2.png .*PNG or TIFF", r"f3.png .*\(No such file", "f4.tif .*float32")
    assert len(camera.skipped) == len(reasons)
    for skipped, reason in zip(camera.skipped, reasons, strict=True):
        assert re.match(f"{folder}/{reason}", skipped), skipped
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [f"Skipped: {reason}" for reason in camera.skipped]


@pytest.mark.parametrize("loop", [False, True])
def test_none_left_is_an_error(tmp_path: Path, loop: bool) -> None:
    for name in ("f1.png", "f2.png"):
        (tmp_path / name).write_bytes(b"no picture")
    camera = open_camera(str(tmp_path), loop=loop)
    for _ in range(2):
        with pytest.raises(SemedgeError, match=rf" 2 files of {tmp_path} "):
            next(camera)


def test_a_loop_starts_again_and_warns_once(tmp_path: Path) -> None:
    write(tmp_path / "in", "f1.png", "f3.png")
    (tmp_path / "in" / "f2.png").write_bytes(b"no picture")
    with open_camera(str(tmp_path / "in"), loop=True) as camera:
        frames = [next(camera) for _ in range(5)]
    assert [Path(frame.source).stem for frame in frames] == ["f1", "f3", "f1", "f3", "f1"]
    assert [frame.sequence for frame in frames] == list(range(5))
    assert len(camera.skipped) == 1


def test_a_loop_ends_when_all_files_are_gone(tmp_path: Path) -> None:
    write(tmp_path / "in", "f1.png")
    with open_camera(str(tmp_path / "in"), loop=True) as camera:
        next(camera)
        (tmp_path / "in" / "f1.png").unlink()
        assert list(camera) == []
    assert len(camera.skipped) == 1


def test_a_closed_camera_gives_nothing(tmp_path: Path) -> None:
    write(tmp_path / "in", "f1.png", "f2.png")
    camera = open_camera(str(tmp_path / "in"))
    next(camera)
    camera.close()
    assert list(camera) == []


def test_a_loop_sees_files_that_come_later_or_come_back(tmp_path: Path) -> None:
    write(tmp_path / "in", "a.png", "b.png")
    with open_camera(str(tmp_path / "in"), loop=True) as camera:
        assert Path(next(camera).source).name == "a.png"
        (tmp_path / "in" / "b.png").rename(tmp_path / "b.png")
        assert Path(next(camera).source).name == "a.png"
        (tmp_path / "b.png").rename(tmp_path / "in" / "b.png")
        write(tmp_path / "in", "c.png")
        assert [Path(next(camera).source).name for _ in range(4)] == [
            *("a.png", "b.png", "c.png", "a.png")
        ]

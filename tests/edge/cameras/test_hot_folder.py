"""A folder that another program fills: each picture once, when it is whole."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from semedge.cameras import Camera, CameraSettings, CameraStalledError, open_camera
from semedge.cameras.hot_folder import GIVE_UP_S
from semedge.core.errors import SemedgeError
from semedge.core.images import read_image

TIMEOUT_S = 10.0


def picture(value: int) -> bytes:
    return cv2.imencode(".png", np.full((24, 32), value, np.uint8))[1].tobytes()


def follow(folder: Path, timeout_s: float = TIMEOUT_S, **settings: object) -> Camera:
    return open_camera(
        str(folder), timeout_s=timeout_s, settings=CameraSettings(follow=True, **settings)
    )


def values(camera: Camera, count: int) -> list[int]:
    return [int(next(camera).image[0, 0]) for _ in range(count)]


def test_pictures_that_come_while_it_looks_are_taken_once(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(1))
    with follow(tmp_path) as camera:
        assert values(camera, 1) == [1]
        (tmp_path / "b.png").write_bytes(picture(2))
        (tmp_path / ".b.png.part").write_bytes(picture(9))
        assert values(camera, 1) == [2]
        # Written elsewhere, and moved in with an old time of change.
        (tmp_path / "moving").write_bytes(picture(3))
        os.utime(tmp_path / "moving", (1_000, 1_000))
        (tmp_path / "moving").rename(tmp_path / "c.png")
        frame = next(camera)
        assert (int(frame.image[0, 0]), frame.captured_at_s) == (3, 1_000.0)
        # The same name again, as programs do that count from 1 every shift.
        (tmp_path / "a.png").write_bytes(picture(4))
        assert values(camera, 1) == [4]
        assert (camera.live, camera.ends, camera.skipped) == (True, False, [])
    with follow(tmp_path, timeout_s=0.6) as camera, pytest.raises(CameraStalledError):
        # The last one was not done when the camera was closed.
        assert values(camera, 2) == [4]


def test_a_picture_that_is_written_slowly_is_taken_when_it_is_whole(tmp_path: Path) -> None:
    content = cv2.imencode(".tif", np.full((200, 300), 7, np.uint16))[1].tobytes()

    def write() -> None:
        with (tmp_path / "slow.tif").open("wb", buffering=0) as file:
            for part in range(8):
                file.write(content[len(content) * part // 8 : len(content) * (part + 1) // 8])
                time.sleep(0.4)

    with follow(tmp_path) as camera:
        thread = threading.Thread(target=write)
        thread.start()
        frame = next(camera)
        thread.join(TIMEOUT_S)
        np.testing.assert_array_equal(frame.image, read_image(tmp_path / "slow.tif"))
        assert camera.skipped == []


def test_what_never_becomes_whole_is_skipped_and_named_once(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(picture(1)[:-20])
    with follow(tmp_path, timeout_s=GIVE_UP_S + 2) as camera:
        with pytest.raises(CameraStalledError, match="No new picture came into"):
            next(camera)
        (skipped,) = camera.skipped
        assert "broken.png is damaged" in skipped


def test_done_pictures_are_moved_where_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "in" / "day").mkdir(parents=True)
    for number in (1, 2):
        (tmp_path / "in" / "day" / f"{number}.png").write_bytes(picture(number))
    with follow(tmp_path / "in", recursive=True, move_to=tmp_path / "done") as camera:
        assert values(camera, 2) == [1, 2]
        assert [path.name for path in (tmp_path / "done" / "day").iterdir()] == ["1.png"]
        assert [path.name for path in (tmp_path / "in" / "day").iterdir()] == ["2.png"]


def test_every_page_of_a_tiff_is_taken(tmp_path: Path) -> None:
    cv2.imwritemulti(str(tmp_path / "s.tif"), [np.full((8, 9), each, np.uint8) for each in (5, 6)])
    with follow(tmp_path) as camera:
        frames = [next(camera) for _ in range(2)]
    assert [frame.source.rpartition("#")[2] for frame in frames] == ["1", "2"]
    assert [int(frame.image[0, 0]) for frame in frames] == [5, 6]


def test_pipes_are_no_pictures(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "a.png").write_bytes(picture(1))
    with follow(tmp_path) as camera:
        assert values(camera, 1) == [1]
    with open_camera(str(tmp_path)) as camera:
        assert values(camera, 1) == [1]
    with pytest.raises(SemedgeError, match=r"pipe\.png is not a regular file"):
        read_image(tmp_path / "pipe.png")


def test_closing_ends_a_read_that_waits(tmp_path: Path) -> None:
    camera = follow(tmp_path, timeout_s=60)
    threading.Timer(0.3, camera.close).start()
    began_s = time.monotonic()
    assert next(camera, None) is None
    assert time.monotonic() - began_s < 5


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SemedgeError, match="follow = true needs a folder"):
        follow(tmp_path / "absent")


def test_subfolders_and_other_files_are_named_or_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "day1").mkdir()
    (tmp_path / "day1" / "a.png").write_bytes(picture(1))
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SemedgeError, match=r"its subfolder day1 does; give \S*day1"):
        open_camera(str(tmp_path))
    (tmp_path / "day1" / "a.png").rename(tmp_path / "a.bak")
    with pytest.raises(SemedgeError, match="1 subfolder and 2 files of other kinds were left out"):
        open_camera(str(tmp_path))
    (tmp_path / "a.bak").rename(tmp_path / "day1" / "a.png")
    (tmp_path / "b.JFIF").write_bytes(cv2.imencode(".jpg", np.full((8, 8), 9, np.uint8))[1])
    with open_camera(str(tmp_path), settings=CameraSettings(recursive=True)) as camera:
        assert [int(frame.image[0, 0]) for frame in camera] == [9, 1]
    assert "1 file of other kinds was left out" in capsys.readouterr().err

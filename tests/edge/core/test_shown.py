"""A picture that a station wrote is not cropped again where it is scored as the station does."""

from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from semedge.cameras import open_camera
from semedge.core.frame import Frame
from semedge.core.images import read_picture
from semedge.core.shown import Shown, note_in, with_note
from semedge.core.view import FrameView, ViewSettings
from semedge.inference.batch.score_file import FileScorer, ScoredFile
from semedge.inference.bundle import read_bundle
from semedge.inference.grid import PatchGrid
from semedge.inference.score_map import ScoreMap
from semedge.station.event_pictures import EventPictures

SETTINGS = ViewSettings(
    crop_top_px=2, crop_bottom_px=20, crop_left_px=3, leave_out_px=((10, 10, 5, 5),)
)
WHOLE = np.random.default_rng(0).integers(0, 4096, (80, 90)).astype(np.uint16)


def written(folder: Path, view: FrameView, image: np.ndarray = WHOLE) -> tuple[Frame, str]:
    """A frame as it was inspected, and the picture that a station writes of it."""
    frame = view.show(Frame(image))
    grid = PatchGrid(frame.image.shape, 32, 16)
    score_map = ScoreMap(grid, np.zeros(len(grid), np.float32), {})
    path = EventPictures(folder).write(frame, score_map, 1.0, "a" * 32).frame
    assert path is not None
    return frame, path


def again(path: str, settings: ViewSettings) -> Frame:
    with open_camera(path) as camera:
        camera.view = FrameView(settings)
        return next(camera)


def test_the_same_settings_show_the_same_frame(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"bits": 12})
    frame, path = written(tmp_path, FrameView(settings))
    read = again(path, settings)
    np.testing.assert_array_equal(read.image, frame.image)
    assert read.left_out is not None
    assert frame.left_out is not None
    np.testing.assert_array_equal(read.left_out, frame.left_out)
    assert read.shown == Shown((80, 90), (2, 20, 3, 0))


def test_a_wider_crop_takes_what_is_missing_and_a_narrower_one_nothing(tmp_path: Path) -> None:
    _, path = written(tmp_path, FrameView(SETTINGS))
    wider = SETTINGS.model_copy(update={"crop_bottom_px": 25, "crop_right_px": 4})
    np.testing.assert_array_equal(again(path, wider).image, WHOLE[2:55, 3:86])
    narrower = again(path, ViewSettings())
    np.testing.assert_array_equal(narrower.image, WHOLE[2:60, 3:])
    assert narrower.shown == Shown((80, 90), (2, 20, 3, 0))


def test_scoring_many_files_does_not_crop_again(tmp_path: Path, tiny_file: Path) -> None:
    frame, path = written(tmp_path, FrameView(SETTINGS), (WHOLE >> 4).astype(np.uint8))
    scorer = FileScorer(read_bundle(tiny_file), 16, FrameView(SETTINGS))
    try:
        result = scorer.score(path)
        expected = scorer.detector.score(frame).frame_score
    finally:
        scorer.close()
    assert isinstance(result, ScoredFile)
    assert result.frame_score == expected


@pytest.mark.parametrize("note", [b"", b"90x80", b"90x80 1,2,3", b"90x80 1,2,3,-4", b"9" * 99])
def test_another_note_is_none(note: bytes) -> None:
    content = cv2.imencode(".png", WHOLE)[1].tobytes()
    shown = Shown((83, 97), (1, 2, 3, 4))
    assert note_in(with_note(content, shown)) == shown
    assert note_in(with_note(content, Shown((84, 97), (1, 2, 3, 4)))) is None, "another size"
    assert note_in(content) is None
    changed = cv2.imencode(".png", WHOLE)[1].tobytes()
    chunk = b"tEXtsemedge-shown\0" + note
    chunk = (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    assert note_in(changed[:33] + chunk + changed[33:]) is None


def test_a_note_changes_no_pixel(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    content = cv2.imencode(".png", WHOLE)[1].tobytes()
    path.write_bytes(with_note(content, Shown((100, 90), (10, 10, 0, 0))))
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), WHOLE)
    np.testing.assert_array_equal(read_picture(path).image, WHOLE)

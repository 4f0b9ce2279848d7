"""Pictures of events are written in full or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from semedge.core.frame import Frame
from semedge.inference.detector import ScoreMap
from semedge.inference.grid import PatchGrid
from semedge.station.event_pictures import EventPictures, PicturePaths

EVENT_ID = "0123456789abcdef" * 2
FRAME = Frame(np.arange(64, dtype=np.uint8).reshape(8, 8), 7, 1_764_000_000.0, "test")
SCORES = ScoreMap(PatchGrid((8, 8), 8, 8), np.array([0.5], np.float32), {})


def test_pictures_lie_in_a_folder_a_day(tmp_path: Path) -> None:
    pictures = EventPictures(tmp_path)
    paths = pictures.write(FRAME, SCORES, 1.0, EVENT_ID)
    assert paths.frame == str(tmp_path / "2025-11-24" / "160000-7-0123456789ab-frame.png")
    assert paths.overlay == str(tmp_path / "2025-11-24" / "160000-7-0123456789ab-overlay.png")
    np.testing.assert_array_equal(cv2.imread(paths.frame, cv2.IMREAD_UNCHANGED), FRAME.image)


def test_while_paused_no_picture_is_written(tmp_path: Path) -> None:
    pictures = EventPictures(tmp_path / "pictures")
    pictures.set_paused(True)
    assert pictures.write(FRAME, SCORES, 1.0, EVENT_ID) == PicturePaths()
    assert not pictures.folder.exists()
    pictures.set_paused(False)
    assert pictures.write(FRAME, SCORES, 1.0, EVENT_ID).frame is not None


def test_a_folder_that_cannot_be_made_is_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "occupied").write_text("a file where the folder should be")
    paths = EventPictures(tmp_path / "occupied").write(FRAME, SCORES, 1.0, EVENT_ID)
    assert paths == PicturePaths()
    assert capsys.readouterr().err.count("The event has no picture: ") == 2

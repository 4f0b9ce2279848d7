"""Pictures that a watch left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2


def check_all_decode(folder: Path) -> int:
    """Decode every PNG below `folder`; how many there are."""
    pictures = list(folder.rglob("*.png"))
    for picture in pictures:
        # OpenCV decodes a truncated file to a picture whose rest is empty.
        assert picture.read_bytes().endswith(b"IEND\xaeB`\x82"), picture
        assert cv2.imread(str(picture), cv2.IMREAD_UNCHANGED) is not None, picture
    return len(pictures)


def check_of_alert(alert: dict[str, Any], frame_shape: tuple[int, int]) -> None:
    """The alert's pictures exist: the frame as it was, and beside it its heat map."""
    height, width = frame_shape
    frame = cv2.imread(alert["frame_picture"], cv2.IMREAD_UNCHANGED)
    overlay = cv2.imread(alert["overlay_picture"], cv2.IMREAD_UNCHANGED)
    assert frame is not None
    assert overlay is not None
    assert frame.shape == (height, width)
    assert overlay.shape == (height, 2 * width, 3)

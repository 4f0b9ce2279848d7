"""The place of an event's defect, cut out of its stored picture."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np

from semedge.core.event import Event
from semedge.inference.overlay import ColourImage
from semedge.web.pictures import encode_jpeg, fitted

CROP_SHAPE = (3, 4)
"""Height and width of a crop, as a proportion."""

LEAST_WIDTH_PX = 128
MARGIN = 2.0
"""The crop is this many times as wide and high as the region."""

CROP_PX = 400
MOST_KEPT = 200
DARKEST = 60
"""Where 90 % of a crop's gray values are below this one, it is brightened."""

BRIGHTENED = 160
MOST_GAIN = 8.0


class EventCrops:
    """Cuts out defects, one at a time, and caches the newest crops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, bytes | None] = OrderedDict()

    def jpeg(self, event: Event, overlay: Path) -> bytes | None:
        """A JPEG of the event's defect; None where the picture cannot be read."""
        with self._lock:
            if event.key not in self._kept:
                self._kept[event.key] = _cut(event, overlay)
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(event.key)
            return self._kept[event.key]


def _cut(event: Event, overlay: Path) -> bytes | None:
    try:
        content = np.frombuffer(overlay.read_bytes(), np.uint8)
        both = cv2.imdecode(content, cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    if both is None:
        return None
    # The frame is on the left, with the outline of what is anomalous; its heat map on the right.
    frame: ColourImage = both[:, : both.shape[1] // 2].astype(np.uint8)
    left, top, width, height = _box(event, frame.shape[1], frame.shape[0])
    crop = _brightened(frame[top : top + height, left : left + width])
    if crop.shape[1] < CROP_PX:
        scale = CROP_PX / crop.shape[1]
        size = (CROP_PX, max(1, round(crop.shape[0] * scale)))
        crop = cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    return encode_jpeg(fitted(crop, CROP_PX))


def _box(event: Event, frame_width: int, frame_height: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of the crop around the worst region, within the frame."""
    if event.regions:
        region = event.regions[0]
        centre = (region.left_px + region.width_px / 2, region.top_px + region.height_px / 2)
        wide, high = region.width_px * MARGIN, region.height_px * MARGIN
    else:
        centre = event.peak_px or (frame_width / 2, frame_height / 2)
        wide = high = 0.0
    rows, columns = CROP_SHAPE
    width = min(frame_width, max(LEAST_WIDTH_PX, wide, high * columns / rows))
    height = min(frame_height, width * rows / columns)
    left = min(max(0.0, centre[0] - width / 2), frame_width - width)
    top = min(max(0.0, centre[1] - height / 2), frame_height - height)
    return round(left), round(top), max(1, round(width)), max(1, round(height))


def _brightened(crop: ColourImage) -> ColourImage:
    bright = float(np.quantile(crop.min(axis=2), 0.9))
    if bright >= DARKEST:
        return crop
    gain = min(MOST_GAIN, BRIGHTENED / max(bright, 1.0))
    return np.clip(crop * gain, 0, 255).astype(np.uint8)

"""What single flipped bits of LZW and JPEG, which nothing can see, do to the score of a frame."""

from __future__ import annotations

import os
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from variants import JPEG, LZW, page, tiff

from semedge.cameras.simulation import SimulatedLine
from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage
from semedge.core.images import decode_image
from semedge.inference.detector import Detector

FLIPS = int(os.environ.get("SEMEDGE_FLIPS", "2000"))
NORMAL_FRAMES = 99


def jpeg(image: GrayImage, *settings: int) -> tuple[bytes, int, int]:
    content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95, *settings])[1].tobytes()
    return content, content.index(b"\xff\xda") + 12, len(content) - 2


def in_tiff(image: GrayImage, compression: int) -> tuple[bytes, int, int]:
    written = page(image[..., None], compression=compression, rows=len(image))
    content, segment = tiff(written), written.segments[0]
    start = content.index(segment)
    return content, start, start + len(segment)


WRITERS: dict[str, Callable[[GrayImage], tuple[bytes, int, int]]] = {
    "lzw": lambda image: in_tiff(image, LZW),
    "jpeg-in-tiff": lambda image: in_tiff(image, JPEG),
    "jpeg": jpeg,
    "restarts": lambda image: jpeg(image, cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
}
"""A file, and where the part of it begins and ends that has the pixels."""

MOST_ALARMS = {"lzw": 0.01, "jpeg-in-tiff": 0.1, "jpeg": 0.2, "restarts": 0.1}
"""Most of the flips that may pass and bring a normal frame's score above those of all others."""


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_a_flipped_bit_seldom_passes_as_a_defect(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    line = SimulatedLine(7, (256, 320), defect_rate=0.0)
    frames = [line.frame(number).image for number in range(NORMAL_FRAMES)]
    random = np.random.default_rng(3)
    changes: list[float] = []
    alarms = 0
    with Detector.load(None) as detector:
        files = [WRITERS[name](frame) for frame in frames]
        scores = [detector.score(decode_image(each[0], name)).frame_score for each in files]
        highest = max(scores)
        for number in range(FLIPS):
            chosen = number % 10
            content, start, stop = files[chosen]
            flipped = bytearray(content)
            flipped[int(random.integers(start, stop))] ^= 1 << int(random.integers(8))
            try:
                image = decode_image(bytes(flipped), name)
            except SemedgeError:
                continue
            score = detector.score(image).frame_score
            changes.append(abs(score - scores[chosen]))
            alarms += score > highest
    deviation = float(np.std(scores))
    median, most, worst = np.percentile(changes, [50, 95, 100])
    record_property("passed", f"{len(changes) / FLIPS:.0%}")
    record_property(
        "score changed, in standard deviations of normal frames: median, 95 %, most",
        f"{median / deviation:.2f}, {most / deviation:.2f}, {worst / deviation:.1f}",
    )
    record_property("scored above every normal frame", f"{alarms / FLIPS:.1%}")
    assert alarms <= MOST_ALARMS[name] * FLIPS

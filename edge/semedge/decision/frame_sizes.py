"""Frames of another size than those that the threshold was set on."""

from __future__ import annotations

import logging

from semedge_calibration import Calibration

logger = logging.getLogger(__name__)


class FrameSizeWarning:
    """Warns, once for each size, that the guarantee is for frames of another size."""

    def __init__(self) -> None:
        self._warned: set[tuple[int, int]] = set()

    def check(self, source: str, shape: tuple[int, int], calibration: Calibration) -> None:
        """Look at the height and width of a frame, whose name in messages is `source`."""
        calibrated = calibration.grid.frame_shape
        if shape == calibrated or shape in self._warned:
            return
        self._warned.add(shape)
        (height, width), (made_height, made_width) = shape, calibrated
        logger.warning(
            f"{source} has {width}x{height} px, and the calibration's guarantee counts areas of "
            f"{made_width}x{made_height} px; a frame is "
            f"{height * width / (made_height * made_width):.3g} of them, and its rate of false "
            "alarms differs accordingly.",
            extra={"event": "frame-size"},
        )

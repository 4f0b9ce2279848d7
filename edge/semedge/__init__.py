"""semedge: inspection of production lines through a camera, learned from good material alone.

`docs/reference/python.md` shows how Python programs use it. The names of `__all__` are public, and
each is imported when it is first used; everything else is private.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from semedge.core.version import __version__

if TYPE_CHECKING:
    from semedge.cameras import Camera, open_camera
    from semedge.core.errors import RefusedError, SemedgeError
    from semedge.core.frame import Frame
    from semedge.core.images import read_image
    from semedge.decision.calibration_file import load_calibration, save_calibration
    from semedge.inference.detector import Detector
    from semedge.inference.score_map import ScoreMap
    from semedge.learning.learn import learn
    from semedge.learning.options import LearnOptions
    from semedge.station.calibration import calibrate
    from semedge_calibration import Calibration

__all__ = [
    "Calibration",
    "Camera",
    "Detector",
    "Frame",
    "LearnOptions",
    "RefusedError",
    "ScoreMap",
    "SemedgeError",
    "__version__",
    "calibrate",
    "learn",
    "load_calibration",
    "open_camera",
    "read_image",
    "save_calibration",
]

_HOMES = {
    "Calibration": "semedge_calibration",
    "Camera": "semedge.cameras",
    "Detector": "semedge.inference.detector",
    "Frame": "semedge.core.frame",
    "LearnOptions": "semedge.learning.options",
    "RefusedError": "semedge.core.errors",
    "ScoreMap": "semedge.inference.score_map",
    "SemedgeError": "semedge.core.errors",
    "calibrate": "semedge.station.calibration",
    "learn": "semedge.learning.learn",
    "load_calibration": "semedge.decision.calibration_file",
    "open_camera": "semedge.cameras",
    "read_image": "semedge.core.images",
    "save_calibration": "semedge.decision.calibration_file",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

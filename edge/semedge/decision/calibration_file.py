"""The file of a calibration: saved, and loaded for the detector that it was made for."""

from __future__ import annotations

import hashlib
from pathlib import Path

from semedge.core.errors import SemedgeError
from semedge.core.files import read_bounded, write_atomically
from semedge.inference.detector import Detector
from semedge_calibration import Calibration, CalibrationError

MAX_FILE_BYTES = 2**20
REMEDY = "run `semedge calibrate` for the detector in use"


def calibration_sha256(calibration: Calibration) -> str:
    """Digest of a calibration, independent of its file."""
    return hashlib.sha256(calibration.to_json().encode()).hexdigest()


def save_calibration(path: Path | str, calibration: Calibration) -> None:
    """Write the calibration to `path`, atomically.

    Raises `SemedgeError` where it cannot be written.
    """
    write_atomically(Path(path), calibration.to_json().encode())


def load_calibration(path: Path | str, detector: Detector) -> Calibration:
    """Read the calibration at `path`, made for this detector.

    Raises `SemedgeError` where it cannot be read, is damaged, or belongs to another detector,
    stride, score or runtime.
    """
    content = read_bounded(
        Path(path),
        MAX_FILE_BYTES,
        unreadable=lambda reason: (
            f"The calibration {path} cannot be read ({reason}); give the path of a file that "
            "`semedge calibrate` wrote."
        ),
        too_large=lambda _: f"The calibration {path} is too large for a calibration; {REMEDY}.",
    )
    return parse_calibration(content, f"The calibration {path}", detector)


def parse_calibration(content: bytes, name: str, detector: Detector) -> Calibration:
    """The calibration in the content of a file, which `name` identifies in messages."""
    try:
        calibration = Calibration.from_json(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise SemedgeError(f"{name} is damaged: not UTF-8; {REMEDY}.") from error
    except CalibrationError as error:
        raise SemedgeError(f"{name} is damaged: {error}; {REMEDY}.") from error
    if calibration.detector_sha256 != detector.bundle.sha256:
        raise SemedgeError(
            f"{name} belongs to another detector (digest {calibration.detector_sha256[:12]}, and "
            f"{detector.bundle.name} has {detector.bundle.sha256[:12]}); {REMEDY}."
        )
    grid = calibration.grid
    for what, made, used in (
        ("patch", grid.patch_px, detector.patch_px),
        ("stride", grid.stride_px, detector.stride_px),
        ("score", calibration.score_name, detector.score_name),
        ("runtime", calibration.runtime, detector.runtime),
    ):
        if made != used:
            raise SemedgeError(
                f"{name} was made with the {what} {made}, and the detector runs with {used}; use "
                f"the same, or {REMEDY}."
            )
    return calibration

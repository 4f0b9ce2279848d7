"""The score of an image file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from semedge.core.closing import Closing
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.core.images import read_image
from semedge.core.information_bar import LowerEdge
from semedge.core.version import __version__
from semedge.inference.bundle import Bundle
from semedge.inference.detector import Detector


@dataclass(frozen=True)
class ScoredFile:
    """An image file with the score of its frame, and the centre of the patch with that score."""

    path: str
    frame_score: float
    peak_x_px: int
    peak_y_px: int


@dataclass(frozen=True)
class SkippedFile:
    """A file that cannot be decoded or scored, and the reason as a sentence."""

    path: str
    reason: str


FileResult = ScoredFile | SkippedFile


@dataclass(frozen=True)
class ScoreSettings:
    """Everything that a file's score depends on, apart from the file.

    Attributes
    ----------
    detector_sha256, score_name, stride_px, runtime
        The detector, and the settings and the runtime that it runs with.
    crop_bottom_px
        Rows cut off at the lower edge of each frame.
    semedge
        Version of semedge.
    """

    detector_sha256: str
    score_name: str
    stride_px: int
    runtime: str
    crop_bottom_px: int
    semedge: str = __version__

    @classmethod
    def of(cls, detector: Detector, crop_bottom_px: int) -> ScoreSettings:
        """The settings of a detector as it runs here."""
        return cls(
            detector.bundle.sha256,
            detector.score_name,
            detector.stride_px,
            detector.runtime,
            crop_bottom_px,
        )


class FileScorer(Closing):
    """Scores files one by one.

    Parameters
    ----------
    bundle
        The detector.
    stride_px
        Distance between patches.
    lower_edge
        Cuts off the lower edge of each frame.
    workers
        Number of threads that score one frame.
    """

    def __init__(
        self, bundle: Bundle, stride_px: int, lower_edge: LowerEdge, workers: int = 1
    ) -> None:
        self.detector = Detector(bundle, stride_px=stride_px, workers=workers)
        self._lower_edge = lower_edge

    def score(self, path: str) -> FileResult:
        """The file's result; a file that cannot be scored raises nothing."""
        try:
            image = self._lower_edge.crop(read_image(path), path)
            captured_at_s = Path(path).stat().st_mtime
            score_map = self.detector.score(Frame(image, 0, captured_at_s, path))
        except OSError as error:
            return SkippedFile(path, f"{path} cannot be read ({error.strerror}).")
        except SemedgeError as error:
            return SkippedFile(path, str(error))
        return ScoredFile(path, score_map.frame_score, *score_map.peak_px)

    def close(self) -> None:
        """End the detector's threads."""
        self.detector.close()

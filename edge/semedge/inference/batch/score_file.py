"""The score of an image file."""

from __future__ import annotations

from dataclasses import dataclass

from semedge.core.closing import Closing
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.core.images import read_picture, split_page
from semedge.core.version import __version__
from semedge.core.view import FrameView, ViewSettings
from semedge.inference.bundle import Bundle
from semedge.inference.detector import Detector


@dataclass(frozen=True)
class ScoredFile:
    """An image file with the score of its frame, and the centre of the patch with that score.

    `size_bytes` and `changed_ns` are those of the file when it was scored.
    """

    path: str
    frame_score: float
    peak_x_px: int
    peak_y_px: int
    size_bytes: int = 0
    changed_ns: int = 0

    @property
    def stamp(self) -> tuple[int, int]:
        """What `file_stamp` gave when the file was scored."""
        return self.size_bytes, self.changed_ns


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
    view
        What of each frame is inspected.
    semedge
        Version of semedge.
    """

    detector_sha256: str
    score_name: str
    stride_px: int
    runtime: str
    view: ViewSettings
    semedge: str = __version__

    @classmethod
    def of(cls, detector: Detector, view: ViewSettings) -> ScoreSettings:
        """The settings of a detector as it runs here."""
        return cls(
            detector.bundle.sha256,
            detector.score_name,
            detector.stride_px,
            detector.runtime,
            view,
        )


def file_stamp(path: str) -> tuple[int, int]:
    """Size in bytes and time of change in nanoseconds of a file; zeros where it is gone."""
    try:
        status = split_page(path)[0].stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


class FileScorer(Closing):
    """Scores files one by one.

    Parameters
    ----------
    bundle
        The detector.
    stride_px
        Distance between patches.
    view
        Shows of each frame what is inspected.
    workers
        Number of threads that score one frame.
    """

    def __init__(self, bundle: Bundle, stride_px: int, view: FrameView, workers: int = 1) -> None:
        self.detector = Detector(bundle, stride_px=stride_px, workers=workers)
        self._view = view

    def score(self, path: str) -> FileResult:
        """The file's result; a file that cannot be scored raises nothing."""
        try:
            stamp = file_stamp(path)
            picture = read_picture(path)
            frame = Frame(
                picture.image,
                0,
                stamp[1] / 1e9,
                path,
                shown=picture.shown,
                colours=picture.colours,
            )
            score_map = self.detector.score(self._view.show(frame))
        except SemedgeError as error:
            return SkippedFile(path, str(error))
        return ScoredFile(path, score_map.frame_score, *score_map.peak_px, *stamp)

    def close(self) -> None:
        """End the detector's threads."""
        self.detector.close()

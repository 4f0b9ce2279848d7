"""Marked frames as they are inspected now, judged by the previous detector and by a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.core.images import read_picture
from semedge.core.mark import MarkName
from semedge.core.view import ViewSettings, frame_again
from semedge.decision.defect import Levels
from semedge.decision.judged_score import judged_score
from semedge.inference.detector import Detector
from semedge.journal.marked_frames import MarkedFrame
from semedge.station.camera_setup import CameraSetup


@dataclass(frozen=True)
class MarkedExample:
    """A marked frame, as the camera's frames are inspected now.

    Attributes
    ----------
    kept
        Its record.
    picture
        Its file.
    view
        What is inspected of the camera's frames.
    """

    kept: MarkedFrame
    picture: Path
    view: ViewSettings

    def frame(self) -> Frame:
        """The frame; `SemedgeError` where its file is damaged or the view does not suit it."""
        top, bottom, left, right = self.kept.cut_off_px
        before = ViewSettings(
            crop_top_px=top, crop_bottom_px=bottom, crop_left_px=left, crop_right_px=right
        )
        picture = read_picture(self.picture)
        frame = Frame(
            picture.image,
            self.kept.sequence,
            self.kept.captured_at_s,
            self.kept.frame_id,
            pixel_size_um=self.view.pixel_size_um or self.kept.pixel_size_um,
            colours=picture.colours,
        )
        return frame_again(frame, before, self.view)


@dataclass(frozen=True)
class Judged:
    """A marked frame, judged by the previous detector and by the one that was learned.

    Attributes
    ----------
    kept
        Its record.
    before, after
        Scores; None where the frame cannot be scored.
    alarmed_before, alarmed_after
        Whether they are above the lowest level, so that the frame alone would raise an alert.
    fitted
        Whether the detector was fitted to it.
    """

    kept: MarkedFrame
    before: float | None
    after: float | None
    alarmed_before: bool
    alarmed_after: bool
    fitted: bool = False


@dataclass(frozen=True)
class Tally:
    """Marked frames of one kind: how many there are, and how many alarmed before and after."""

    frames: int
    before: int
    after: int


def judge_marked(
    example: MarkedExample,
    setup: CameraSetup,
    detector: Detector,
    levels: Levels,
    fitted: Sequence[str],
) -> Judged:
    """A marked frame, judged by a setup and by a new detector with its levels.

    `fitted` has the identifiers of the frames that the new detector was fitted to.
    """
    smallest_um = setup.decision.smallest_um
    before = _score(example, setup.detector, setup.levels, smallest_um)
    after = _score(example, detector, levels, smallest_um)
    return Judged(
        example.kept,
        before,
        after,
        alarmed_before=before is not None and setup.levels.level_of(before) is not None,
        alarmed_after=after is not None and levels.level_of(after) is not None,
        fitted=example.kept.frame_id in fitted,
    )


def _score(
    example: MarkedExample, detector: Detector, levels: Levels, smallest_um: float | None
) -> float | None:
    """The score that the frame is judged by; None where it cannot be scored."""
    try:
        frame = example.frame()
        return judged_score(frame, detector.score(frame), levels, smallest_um)
    except SemedgeError:
        return None


def tallies(judged: Sequence[Judged]) -> Mapping[MarkName, Tally]:
    """Marked frames by their mark, of those that there are."""
    found: dict[MarkName, Tally] = {}
    for each in judged:
        before = found.get(each.kept.mark, Tally(0, 0, 0))
        found[each.kept.mark] = Tally(
            before.frames + 1,
            before.before + each.alarmed_before,
            before.after + each.alarmed_after,
        )
    return found

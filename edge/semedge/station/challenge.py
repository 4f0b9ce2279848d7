"""The challenge set: samples of known quality that a qualified camera judges correctly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from semedge.cameras import open_camera
from semedge.core.errors import SemedgeError
from semedge.core.section import Section
from semedge.decision.judged_score import judged_score
from semedge.station.camera_setup import CameraSetup, view_of_files

SHOWN = 5


class ChallengeSettings(Section):
    """`[challenge]`: samples that a camera must judge correctly to be qualified."""

    golden: Path | None = Field(default=None, description="Folder of good samples.")
    defects: Path | None = Field(default=None, description="Folder of bad samples.")
    most_golden_alarms: int = Field(
        default=0, ge=0, description="Number of good samples that may alarm."
    )
    least_found: float = Field(
        default=1.0, ge=0, le=1, description="Least share of the bad samples that must alarm."
    )

    @property
    def folders(self) -> tuple[Path, Path]:
        """Good and bad samples; `SemedgeError` where one is not named."""
        if self.golden is None or self.defects is None:
            raise SemedgeError(
                "A challenge set has good and bad samples; name their folders as challenge.golden "
                "and challenge.defects in the station file."
            )
        return self.golden, self.defects


@dataclass(frozen=True)
class ChallengeResult:
    """The result of a challenge set.

    Attributes
    ----------
    golden, defects
        Number of good and of bad samples.
    alarmed, missed
        Sources of the good samples that alarmed, and of the bad ones that did not.
    passed
        Whether the result meets the settings.
    """

    golden: int
    defects: int
    alarmed: tuple[str, ...]
    missed: tuple[str, ...]
    passed: bool

    def sentence(self) -> str:
        """The result for people."""
        verdict = "passed" if self.passed else "FAILED"
        text = (
            f"The challenge set {verdict}: {len(self.alarmed)} of {self.golden} good samples "
            f"alarmed, {self.defects - len(self.missed)} of {self.defects} bad samples were found"
        )
        wrong = [*self.alarmed, *self.missed]
        if wrong:
            more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
            text += f"; judged wrongly: {', '.join(wrong[:SHOWN])}{more}"
        return f"{text}."


def run_challenge(setup: CameraSetup, settings: ChallengeSettings) -> ChallengeResult:
    """Judge every sample by a setup; `SemedgeError` where one cannot be judged."""
    golden, defects = (_judge(setup, samples) for samples in settings.folders)
    alarmed = tuple(source for source, alarms in golden if alarms)
    missed = tuple(source for source, alarms in defects if not alarms)
    found = len(defects) - len(missed)
    passed = len(alarmed) <= settings.most_golden_alarms and found >= settings.least_found * len(
        defects
    )
    return ChallengeResult(len(golden), len(defects), alarmed, missed, passed)


def _judge(setup: CameraSetup, samples: Path) -> list[tuple[str, bool]]:
    """Each sample's source, and whether it alarms where the camera's frames are inspected."""
    smallest_um = setup.decision.smallest_um
    with open_camera(str(samples), settings=view_of_files(setup.camera)) as camera:
        judged = []
        for frame in camera:
            score_map = setup.detector.score(frame)
            score = judged_score(frame, score_map, setup.levels, smallest_um)
            judged.append((frame.source, setup.levels.level_of(score) == "alarm"))
        if camera.skipped:
            raise SemedgeError(
                f"A sample of the challenge set cannot be read ({camera.skipped[0]}); remove it."
            )
    if not judged:
        raise SemedgeError(f"There is no sample in {samples}; put some there.")
    return judged

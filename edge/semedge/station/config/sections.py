"""The tables of the station file that say what to run; the others stand where they are used."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from semedge.cameras.settings import TIMEOUT_S, CameraSettings
from semedge.core.section import Section
from semedge.decision.defect import DecisionSettings
from semedge.decision.health import HealthSettings
from semedge.journal.records import DEFAULT_JOURNAL
from semedge.station.challenge import ChallengeSettings
from semedge.station.inspection.limits import LoopLimits

DEFAULT_PICTURES = Path("semedge-pictures")
"""The folder of pictures, in the working directory, where none is named."""


class StationSection(Section):
    """`[station]`: what the station is called."""

    name: str = Field(
        default="station", min_length=1, max_length=60, description="Name that events carry."
    )
    recipes: Path | None = Field(
        default=None, description="The folder of the recipes that can be switched to."
    )


class CameraSection(CameraSettings):
    """`[camera]`: where the frames come from, and what the camera is set to."""

    source: str | None = Field(
        default=None,
        description="A device, a stream's address, a video file, a folder of images, or sim:SEED.",
    )
    timeout_s: float = Field(
        default=TIMEOUT_S,
        gt=0,
        description="Longest time without a frame before the camera counts as stalled.",
    )
    loop: bool = Field(
        default=False, description="Start a folder or a video file again at its end, for trials."
    )

    @property
    def settings(self) -> CameraSettings:
        """What the camera is set to, without where it is."""
        return CameraSettings(
            **{
                name: getattr(self, name)
                for name in CameraSettings.model_fields
                if name in self.model_fields_set
            }
        )


class RecipeSection(Section):
    """`[recipe]`: what stands for detector, calibration and decision."""

    file: Path | None = Field(
        default=None,
        description="A recipe that `semedge recipe make` wrote, instead of detector and "
        "calibration.",
    )


class DetectorSection(Section):
    """`[detector]`: what scores the frames."""

    file: Path | None = Field(
        default=None,
        description="The detector bundle, as `semedge export` wrote it; the demo detector where "
        "absent.",
    )
    stride_px: int | None = Field(
        default=None, ge=1, description="Distance between patches; the bundle's own where absent."
    )
    workers: int | None = Field(
        default=None, ge=1, description="Threads that score patches; the usable cores where absent."
    )


class CalibrationSection(Section):
    """`[calibration]`: from which score on a frame is not normal."""

    file: Path | None = Field(
        default=None,
        description="The calibration, as `semedge calibrate` wrote it for this detector.",
    )


class NamedCameraSection(CameraSection):
    """`[cameras.NAME]`: one of several; timeout, loop and tables are the station's where absent."""

    recipe: Path | None = Field(default=None, description="As `recipe.file`, for this camera.")
    detector: DetectorSection | None = Field(
        default=None, description="As `[detector]`, for this camera."
    )
    calibration: CalibrationSection | None = Field(
        default=None, description="As `[calibration]`, for this camera."
    )
    decision: DecisionSettings | None = Field(
        default=None, description="As `[decision]`, for this camera."
    )
    health: HealthSettings | None = Field(
        default=None, description="As `[health]`, for this camera."
    )
    challenge: ChallengeSettings | None = Field(
        default=None, description="As `[challenge]`, for this camera."
    )


class JournalSection(Section):
    """`[journal]`: where events are stored."""

    file: Path | None = Field(
        default=None,
        description="The SQLite file of events and their deliveries; `semedge watch` makes "
        f"./{DEFAULT_JOURNAL} where absent.",
    )
    pictures: Path | None = Field(
        default=None,
        description="The folder of the frames that raised alerts, and of their heat maps; "
        f"`semedge watch` makes ./{DEFAULT_PICTURES} where absent.",
    )


class WatchSection(LoopLimits):
    """`[watch]`: when to stop, and when to judge."""

    require_check: bool = Field(
        default=False,
        description="Judge only once `semedge check` was passed with the active setup.",
    )

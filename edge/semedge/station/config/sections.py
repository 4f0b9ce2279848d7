"""Tables of the station file that select what to run; the others are where they are used."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from semedge.cameras.settings import TIMEOUT_S, CameraSettings
from semedge.core.section import Section
from semedge.decision.defect import DecisionSettings
from semedge.decision.health import HealthSettings
from semedge.journal.records import DEFAULT_JOURNAL
from semedge.station.challenge import ChallengeSettings
from semedge.station.inspection.limits import LoopLimits

DEFAULT_PICTURES = Path("semedge-pictures")
"""The default folder of pictures, in the working directory."""


class StationSection(Section):
    """`[station]`: the name of the station, and its recipes."""

    name: str = Field(
        default="station", min_length=1, max_length=60, description="Name that events carry."
    )
    recipes: Path | None = Field(
        default=None, description="The folder of the recipes to switch to."
    )

    @field_validator("name")
    @classmethod
    def _is_printable(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("a name has no line breaks or other control characters")
        return name

    public_key: Path | None = Field(
        default=None,
        description="An Ed25519 public key, a PEM file; recipes and detectors must then be signed "
        "by its private key, see `semedge recipe sign`.",
    )


class CameraSection(CameraSettings):
    """`[camera]`: the source of the frames, and the settings of the camera."""

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
        default=False, description="Restart a folder or a video file at its end, for trials."
    )

    @property
    def settings(self) -> CameraSettings:
        """The settings of the camera, without its source."""
        return CameraSettings(
            **{
                name: getattr(self, name)
                for name in CameraSettings.model_fields
                if name in self.model_fields_set
            }
        )


class RecipeSection(Section):
    """`[recipe]`: a recipe, which replaces detector, calibration and decision."""

    file: Path | None = Field(
        default=None,
        description="A recipe that `semedge recipe make` wrote, in place of detector and "
        "calibration.",
    )


class DetectorSection(Section):
    """`[detector]`: the detector, which scores the frames."""

    file: Path | None = Field(
        default=None,
        description="The detector bundle, as `semedge export` wrote it; by default the demo "
        "detector.",
    )
    stride_px: int | None = Field(
        default=None, ge=1, description="Distance between patches; by default the bundle's own."
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        description="Number of threads that score; by default the usable cores.",
    )


class CalibrationSection(Section):
    """`[calibration]`: the calibration, whose threshold is the default of the alarm level."""

    file: Path | None = Field(
        default=None,
        description="The calibration, as `semedge calibrate` wrote it for this detector.",
    )


class NamedCameraSection(CameraSection):
    """`[cameras.NAME]`: one of several; timeout, loop and tables default to the station's."""

    recipe: Path | None = Field(default=None, description="Like `recipe.file`, for this camera.")
    detector: DetectorSection | None = Field(
        default=None, description="Like `[detector]`, for this camera."
    )
    calibration: CalibrationSection | None = Field(
        default=None, description="Like `[calibration]`, for this camera."
    )
    decision: DecisionSettings | None = Field(
        default=None, description="Like `[decision]`, for this camera."
    )
    health: HealthSettings | None = Field(
        default=None, description="Like `[health]`, for this camera."
    )
    challenge: ChallengeSettings | None = Field(
        default=None, description="Like `[challenge]`, for this camera."
    )


class JournalSection(Section):
    """`[journal]`: where events are stored."""

    file: Path | None = Field(
        default=None,
        description="The SQLite file of events and their deliveries; by default `semedge watch` "
        f"creates ./{DEFAULT_JOURNAL}.",
    )
    pictures: Path | None = Field(
        default=None,
        description="The folder of the frames that raised alerts, and of their heat maps; by "
        f"default `semedge watch` creates ./{DEFAULT_PICTURES}.",
    )


class WatchSection(LoopLimits):
    """`[watch]`: when to stop, and when to judge."""

    require_check: bool = Field(
        default=False,
        description="Judge only after `semedge check` has passed with the active setup.",
    )

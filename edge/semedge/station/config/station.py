"""The station file `semedge.toml`: the settings of the cameras' places on the line."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, StringConstraints, ValidationError, field_validator

from semedge.cameras.stream import redact
from semedge.core.errors import SemedgeError
from semedge.core.section import Secret, Section
from semedge.sinks.registry import SinkChoice, section_of_kind
from semedge.station.config.camera import CameraSettingsSection, HealthSection
from semedge.station.config.sections import (
    ChallengeSection,
    DecisionSection,
    DriftSection,
    RetentionSection,
)
from semedge.web.section import WebSection

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class StationSection(Section):
    """`[station]`: what the station is called."""

    name: str = Field(
        default="station", min_length=1, max_length=60, description="Name that events carry."
    )
    recipes: Path | None = Field(
        default=None, description="The folder of the recipes that can be switched to."
    )


class CameraSection(CameraSettingsSection):
    """`[camera]`: where the frames come from, and what the camera is told."""

    source: str | None = Field(
        default=None,
        description="A device, a stream's address, a video file, a folder of images, or sim:SEED.",
    )
    timeout_s: float | None = Field(
        default=None,
        gt=0,
        description="Longest time without a frame before the camera counts as stalled.",
    )
    loop: bool | None = Field(
        default=None, description="Start a folder or a video file again at its end, for trials."
    )


class RecipeSection(Section):
    """`[recipe]`: what stands for detector, calibration and decision."""

    file: Path | None = Field(
        default=None, description="The recipe, as `semedge recipe make` wrote it."
    )


class DetectorSection(Section):
    """`[detector]`: what scores the frames."""

    file: Path | None = Field(
        default=None, description="The detector bundle, as `semedge export` wrote it."
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
        default=None, description="The calibration, as `semedge calibrate` wrote it."
    )


class LineSection(CameraSection):
    """`[cameras.NAME]`: one of several cameras, with tables of its own where it differs."""

    recipe: Path | None = Field(default=None, description="As `recipe.file`, for this camera.")
    detector: DetectorSection | None = Field(
        default=None, description="As `[detector]`, for this camera."
    )
    calibration: CalibrationSection | None = Field(
        default=None, description="As `[calibration]`, for this camera."
    )
    decision: DecisionSection | None = Field(
        default=None, description="As `[decision]`, for this camera."
    )
    health: HealthSection | None = Field(
        default=None, description="As `[health]`, for this camera."
    )
    challenge: ChallengeSection | None = Field(
        default=None, description="As `[challenge]`, for this camera."
    )


class JournalSection(Section):
    """`[journal]`: what is kept of each alert."""

    file: Path | None = Field(
        default=None, description="The SQLite file of alerts and their deliveries."
    )
    pictures: Path | None = Field(
        default=None,
        description="The folder of the frames that raised alerts, and of their heat maps.",
    )


class WatchSection(Section):
    """`[watch]`: when to stop."""

    max_frames: int | None = Field(
        default=None, ge=1, description="Stop after so many inspected frames."
    )
    stop_after_stalled_s: float | None = Field(
        default=None,
        gt=0,
        description="Give up on a camera that is silent so long; never where absent.",
    )
    require_check: bool | None = Field(
        default=None,
        description="Judge only once `semedge check` was passed with what is in force.",
    )


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")]


class Station(Section):
    """The whole file."""

    station: StationSection = StationSection()
    camera: CameraSection = CameraSection()
    cameras: dict[Name, LineSection] = Field(
        default={}, description="Several cameras, by names of one's own, in place of `[camera]`."
    )
    recipe: RecipeSection = RecipeSection()
    detector: DetectorSection = DetectorSection()
    calibration: CalibrationSection = CalibrationSection()
    decision: DecisionSection = DecisionSection()
    health: HealthSection = HealthSection()
    journal: JournalSection = JournalSection()
    challenge: ChallengeSection = ChallengeSection()
    drift: DriftSection = DriftSection()
    retention: RetentionSection = RetentionSection()
    watch: WatchSection = WatchSection()
    sinks: dict[Name, SinkChoice] = Field(
        default={}, description="Where events go beside the console, by a name of one's own."
    )
    web: WebSection | None = Field(
        default=None, description="The live page, where the file has the table `[web]`."
    )

    @field_validator("sinks")
    @classmethod
    def _leaves_the_console_its_name(cls, sinks: dict[str, Any]) -> dict[str, Any]:
        if "console" in sinks:
            raise ValueError("console is the terminal's name; choose another")
        return sinks

    def options(self) -> dict[str, Any]:
        """The settings that the file gives, by the names of the options of `semedge watch`."""
        settings = {
            "camera": self.camera.source,
            "timeout_s": self.camera.timeout_s,
            "loop": self.camera.loop,
            "exposure_us": self.camera.exposure_us,
            "gain": self.camera.gain,
            "frame_rate_hz": self.camera.frame_rate_hz,
            "region_px": self.camera.region_px,
            "pixel_format": self.camera.pixel_format,
            "trigger": self.camera.trigger,
            "features": self.camera.settings().features or None,
            "crop_bottom_px": self.camera.crop_bottom_px,
            "recipe": self.recipe.file,
            "detector": self.detector.file,
            "stride": self.detector.stride_px,
            "workers": self.detector.workers,
            "calibration": self.calibration.file,
            "journal": self.journal.file,
            "pictures": self.journal.pictures,
            "max_frames": self.watch.max_frames,
            "stop_after_stalled_s": self.watch.stop_after_stalled_s,
            "require_check": self.watch.require_check,
        }
        return {name: value for name, value in settings.items() if value is not None}


def load_station(path: Path) -> Station:
    """Read a station file.

    Relative files and folders of its sections count from the folder that the file is in; the
    camera's source is taken as it is on the command line. `SemedgeError` says what is wrong.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SemedgeError(
            f"The station file {path} cannot be read ({error.strerror}); give the path of a TOML "
            "file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SemedgeError(f"The station file {path} is not TOML: {error}; correct it.") from error
    try:
        station = Station.model_validate(document)
    except ValidationError as error:
        raise SemedgeError(f"The station file {path}: {_first_fault(error)}") from error
    return _resolved(station, path.parent)


def _resolved(value: Any, folder: Path) -> Any:
    """`value` with its files and folders, however deep, counted from `folder`."""
    if isinstance(value, Path):
        return folder / value.expanduser()
    if isinstance(value, dict):
        return {name: _resolved(each, folder) for name, each in value.items()}
    if isinstance(value, Section):
        return value.model_copy(update={name: _resolved(each, folder) for name, each in value})
    return value


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    where = [str(part) for part in fault["loc"]]
    name = ".".join(where[:2] + where[3:] if where[0] == "sinks" else where)
    if fault["type"] == "model_type" and fault["ctx"]["class_name"] == Secret.__name__:
        return (
            f'{name} is a secret, which does not belong in the file; write {{ env = "NAME" }} or '
            f'{{ file = "PATH" }} there.'
        )
    if fault["type"] != "extra_forbidden":
        received = redact(repr(fault["input"]))
        reason = fault["msg"].removeprefix("Value error, ")
        return f"{name} = {received} is not allowed ({reason}); correct it."
    known = _known_keys(where[:-1])
    near = get_close_matches(where[-1], known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
    return f"{name} is not a setting; {hint}"


def _known_keys(where: list[str]) -> list[str]:
    """Keys of the table that `where` leads to; below `sinks` and `cameras` comes a name."""
    table: Any = Station
    if where[:1] == ["sinks"] and len(where) > 2:
        table, where = section_of_kind(where[2]), where[3:]
    elif where[:1] == ["cameras"] and len(where) > 1:
        table, where = LineSection, where[2:]
    for part in where:
        annotation = table.model_fields[part].annotation
        below = [
            each for each in (annotation, *get_args(annotation)) if hasattr(each, "model_fields")
        ]
        table = below[0]
    return list(table.model_fields)

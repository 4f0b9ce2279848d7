"""The station file `semedge.toml`: the settings of a station and its cameras."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError, field_validator

from semedge.core.errors import SemedgeError
from semedge.core.section import Secret, Section
from semedge.decision.defect import DecisionSettings
from semedge.decision.drift import DriftSettings
from semedge.decision.health import HealthSettings
from semedge.sinks.registry import SinkChoice, section_of_kind
from semedge.station.challenge import ChallengeSettings
from semedge.station.config.faults import key_hint, refused_value
from semedge.station.config.sections import (
    CalibrationSection,
    CameraSection,
    DetectorSection,
    JournalSection,
    NamedCameraSection,
    RecipeSection,
    StationSection,
    WatchSection,
)
from semedge.station.marking import MarkSettings
from semedge.station.retention import RetentionSettings
from semedge.web.section import WebSection

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")]


class Station(Section):
    """The whole station file."""

    station: StationSection = StationSection()
    camera: CameraSection = CameraSection()
    cameras: dict[Name, NamedCameraSection] = Field(
        default={}, description="Several cameras, by names of your choice, in place of `[camera]`."
    )
    recipe: RecipeSection = RecipeSection()
    detector: DetectorSection = DetectorSection()
    calibration: CalibrationSection = CalibrationSection()
    decision: DecisionSettings = DecisionSettings()
    health: HealthSettings = HealthSettings()
    journal: JournalSection = JournalSection()
    challenge: ChallengeSettings = ChallengeSettings()
    drift: DriftSettings = DriftSettings()
    retention: RetentionSettings = RetentionSettings()
    marks: MarkSettings = MarkSettings()
    watch: WatchSection = WatchSection()
    sinks: dict[Name, SinkChoice] = Field(
        default={},
        description="Receivers of events in addition to the console, by names of your choice.",
    )
    web: WebSection | None = Field(
        default=None, description="The live page, where the file has the table `[web]`."
    )

    @field_validator("sinks")
    @classmethod
    def _reserves_the_name_console(cls, sinks: dict[str, Any]) -> dict[str, Any]:
        if "console" in sinks:
            raise ValueError("console is the name of the terminal; choose another")
        return sinks


def load_station(path: Path) -> Station:
    """Read a station file.

    Relative paths in its sections are relative to the folder of the file; the camera's source is
    relative to the working directory, as on the command line. Raises `SemedgeError` where the file
    cannot be read or has an error.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
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
    """`value` with its paths, at any depth, relative to `folder`."""
    if isinstance(value, Path):
        return folder / value.expanduser()
    if isinstance(value, dict):
        return {name: _resolved(each, folder) for name, each in value.items()}
    if isinstance(value, Section):
        # Only keys in the file: a camera of several takes the others from the station.
        written = value.model_fields_set
        return value.model_copy(
            update={name: _resolved(each, folder) for name, each in value if name in written}
        )
    return value


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    where = [str(part) for part in fault["loc"]]
    name = ".".join(where[:2] + where[3:] if where[0] == "sinks" else where)
    if fault["type"] == "model_type" and fault["ctx"]["class_name"] == Secret.__name__:
        return (
            f'{name} is a secret, which must not be in the file; write {{ env = "NAME" }} or '
            f'{{ file = "PATH" }} there.'
        )
    if fault["type"] == "extra_forbidden":
        return f"{name} is not a setting; {_key_hint(where)}"
    return refused_value(name, fault)


def _key_hint(where: list[str]) -> str:
    """A suggestion for an unknown key; below `sinks` and `cameras` is a name."""
    if where[0] == "sinks" and len(where) > 3:
        return key_hint(where[3:], section_of_kind(where[2]))
    if where[0] == "cameras" and len(where) > 2:
        return key_hint(where[2:], NamedCameraSection)
    return key_hint(where, Station)

"""Plans: the files and settings that each camera of a station is inspected with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from semedge.core.errors import SemedgeError
from semedge.decision.defect import DecisionSettings
from semedge.decision.drift import DriftSettings
from semedge.decision.health import HealthSettings
from semedge.state.snapshot import ONLY_CAMERA
from semedge.station.camera_setup import DEFAULT_DRIFT, DEFAULT_HEALTH, SourceChoice
from semedge.station.config.sections import CameraSection, DetectorSection, NamedCameraSection
from semedge.station.config.station import Station


@dataclass(frozen=True)
class CameraPlan:
    """The files and settings that a camera is inspected with, before they are loaded.

    Attributes
    ----------
    name
        The camera's name.
    camera
        The source of the frames.
    detector
        The detector bundle, and how to run it.
    calibration
        The calibration; None where the recipe contains it.
    decision
        Levels and the other settings of the decision.
    health
        When a picture is too bad to inspect.
    drift
        When a difference from the calibration counts as drift.
    recipe
        A recipe, which replaces detector, calibration and decision.
    public_key
        The key that recipes and detectors must be signed by; None where they need not be.
    """

    name: str
    camera: SourceChoice
    detector: DetectorSection
    calibration: Path | None
    decision: DecisionSettings
    health: HealthSettings = DEFAULT_HEALTH
    drift: DriftSettings = DEFAULT_DRIFT
    recipe: Path | None = None
    public_key: Path | None = None


def plan_cameras(station: Station) -> list[CameraPlan]:
    """The cameras of the station; `SemedgeError` where what one needs is missing or given twice."""
    if not station.cameras:
        return [_plan_only_camera(station)]
    if station.camera.source is not None:
        raise SemedgeError(
            f"The station file names the cameras {', '.join(station.cameras)}, and the camera "
            f"{station.camera.source} was given in addition; give one or the other."
        )
    return [_plan_named_camera(station, name) for name in station.cameras]


def recipe_of(station: Station, section: NamedCameraSection) -> Path | None:
    """The recipe of one of several cameras: the station's, unless the camera names other files."""
    if section.recipe is not None or any(_own_files(section)):
        return section.recipe
    return station.recipe.file


def _plan_only_camera(station: Station) -> CameraPlan:
    if station.camera.source is None:
        raise SemedgeError(
            "No camera was given; name one with --camera SOURCE, such as sim:1, or in the station "
            "file."
        )
    recipe, detector, calibration = (
        station.recipe.file,
        station.detector.file,
        station.calibration.file,
    )
    _refuse_beside(recipe, detector, calibration)
    return CameraPlan(
        name=ONLY_CAMERA,
        camera=_source(station.camera, station.camera.source, station.camera),
        detector=station.detector,
        calibration=None if recipe else _required(calibration, detector),
        decision=station.decision,
        health=station.health,
        drift=station.drift,
        recipe=recipe,
        public_key=station.station.public_key,
    )


def _plan_named_camera(station: Station, name: str) -> CameraPlan:
    section = station.cameras[name]
    if section.source is None:
        raise SemedgeError(f"cameras.{name} has no source; name one in the station file.")
    detector, calibration = _own_files(section)
    _refuse_beside(section.recipe, detector, calibration)
    recipe = recipe_of(station, section)
    return CameraPlan(
        name=name,
        camera=_source(section, section.source, station.camera),
        detector=section.detector or station.detector,
        calibration=(
            None if recipe else _required(calibration or station.calibration.file, detector)
        ),
        decision=section.decision or station.decision,
        health=section.health or station.health,
        drift=station.drift,
        recipe=recipe,
        public_key=station.station.public_key,
    )


def _source(section: CameraSection, source: str, station: CameraSection) -> SourceChoice:
    """The camera of a table, with the station's table as the default of its settings."""
    written = section.model_fields_set
    return SourceChoice(
        source,
        (section if "timeout_s" in written else station).timeout_s,
        (section if "loop" in written else station).loop,
        section.settings,
    )


def _own_files(section: NamedCameraSection) -> tuple[Path | None, Path | None]:
    """Detector and calibration that a camera's own tables name."""
    return (
        None if section.detector is None else section.detector.file,
        None if section.calibration is None else section.calibration.file,
    )


def _refuse_beside(recipe: Path | None, detector: Path | None, calibration: Path | None) -> None:
    if recipe is not None and (beside := detector or calibration) is not None:
        raise SemedgeError(
            f"The recipe {recipe} contains a detector and a calibration, and {beside} was given "
            "in addition; give one or the other."
        )


def _required(calibration: Path | None, detector: Path | None) -> Path:
    if calibration is None:
        which = "" if detector is None else f"--detector {detector} "
        raise SemedgeError(
            "No calibration was given; make one from normal frames with `semedge calibrate "
            f"{which}--images DIR --out calibration.json`, and give it with --calibration."
        )
    return calibration

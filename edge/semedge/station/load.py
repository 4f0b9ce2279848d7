"""The cameras of a station, from its file and the command line to what can be run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from semedge.cameras import CameraSettings
from semedge.cameras.settings import AS_IT_IS
from semedge.core.errors import SemedgeError
from semedge.decision.calibration_file import load_calibration
from semedge.decision.drift import DriftSettings
from semedge.inference.detector import Detector
from semedge.station.camera_setup import USUAL_DRIFT, Line, Setup, SourceChoice
from semedge.station.config.camera import HealthSection
from semedge.station.config.sections import DecisionSection
from semedge.station.config.station import Station
from semedge.station.recipe import read_recipe

USUAL_HEALTH = HealthSection()

ONLY_CAMERA = "camera"
"""Name of the camera of a station that has one."""


@dataclass(frozen=True)
class LineChoice:
    """Which files and settings a camera is to be inspected with.

    Attributes
    ----------
    name
        The camera's name.
    camera
        The camera.
    detector
        The detector bundle; the demo detector where None.
    calibration
        The calibration; None where a recipe holds it.
    decision
        Levels and the rest of the decision.
    health
        When a picture is too bad to inspect.
    drift
        When a difference from the calibration is called drift.
    stride_px, workers
        As of `Detector`.
    recipe
        A recipe, which stands for detector, calibration and decision.
    """

    name: str
    camera: SourceChoice
    detector: Path | None
    calibration: Path | None
    decision: DecisionSection
    health: HealthSection = USUAL_HEALTH
    drift: DriftSettings = USUAL_DRIFT
    stride_px: int | None = None
    workers: int | None = None
    recipe: Path | None = None

    def load(self) -> Line:
        """Load detector and calibration; `SemedgeError` says what does not fit."""
        if self.recipe is not None:
            return Line(self.name, self.load_recipe(self.recipe))
        return Line(self.name, self._load_files())

    def load_recipe(self, path: Path) -> Setup:
        """The setup of this camera by a recipe."""
        recipe = read_recipe(path)
        detector, calibration = recipe.load(self.workers)
        decision = recipe.manifest.decision
        return Setup(
            self.camera.told(recipe.manifest.camera),
            detector,
            calibration,
            decision.levels(calibration.threshold),
            decision.settings(),
            self.health.settings(),
            self.drift,
            recipe.identity,
        )

    def _load_files(self) -> Setup:
        assert self.calibration is not None
        detector = Detector.load(self.detector, stride_px=self.stride_px, workers=self.workers)
        try:
            calibration = load_calibration(self.calibration, detector)
            return Setup(
                self.camera,
                detector,
                calibration,
                self.decision.levels(calibration.threshold),
                self.decision.settings(),
                self.health.settings(),
                self.drift,
            )
        except BaseException:
            detector.close()
            raise


@dataclass(frozen=True)
class Defaults:
    """What the command line says, for the only camera or for those that say nothing else."""

    camera: str | None
    timeout_s: float
    loop: bool
    detector: Path | None
    stride_px: int | None
    workers: int | None
    calibration: Path | None
    recipe: Path | None = None
    camera_settings: CameraSettings = AS_IT_IS


def choose_lines(station: Station, defaults: Defaults) -> list[LineChoice]:
    """The cameras of the station, or the one of the command line."""
    if not station.cameras:
        return [_only_line(station, defaults)]
    if defaults.camera is not None:
        raise SemedgeError(
            f"The station file names the cameras {', '.join(station.cameras)}, and the camera "
            f"{defaults.camera} was given beside them; give one or the other."
        )
    return [_one_of_several(station, name, defaults) for name in station.cameras]


def load_lines(choices: Sequence[LineChoice]) -> list[Line]:
    """Load them all, or none."""
    lines: list[Line] = []
    try:
        for choice in choices:
            lines.append(choice.load())
    except BaseException:
        for line in lines:
            line.setup.detector.close()
        raise
    return lines


def _only_line(station: Station, defaults: Defaults) -> LineChoice:
    if defaults.camera is None:
        raise SemedgeError(
            "No camera was given; name one with --camera SOURCE, such as sim:1, or in the station "
            "file."
        )
    recipe = _only_recipe(defaults.recipe, defaults.detector, defaults.calibration)
    return LineChoice(
        name=ONLY_CAMERA,
        camera=SourceChoice(
            defaults.camera, defaults.timeout_s, defaults.loop, defaults.camera_settings
        ),
        detector=defaults.detector,
        calibration=None if recipe else _required(defaults.calibration, defaults.detector),
        decision=station.decision,
        health=station.health,
        drift=station.drift.settings(),
        stride_px=defaults.stride_px,
        workers=defaults.workers,
        recipe=recipe,
    )


def _one_of_several(station: Station, name: str, defaults: Defaults) -> LineChoice:
    section = station.cameras[name]
    if section.source is None:
        raise SemedgeError(f"cameras.{name} has no source; name one in the station file.")
    own = section.detector
    detector = None if own is None else own.file
    calibration = None if section.calibration is None else section.calibration.file
    if section.recipe is None:
        recipe = None if detector or calibration else defaults.recipe
    else:
        recipe = _only_recipe(section.recipe, detector, calibration)
    if calibration is None:
        calibration = defaults.calibration
    return LineChoice(
        name=name,
        camera=SourceChoice(
            section.source,
            defaults.timeout_s if section.timeout_s is None else section.timeout_s,
            defaults.loop if section.loop is None else section.loop,
            section.settings(),
        ),
        detector=defaults.detector if own is None else own.file,
        calibration=None if recipe else _required(calibration, detector),
        decision=station.decision if section.decision is None else section.decision,
        health=station.health if section.health is None else section.health,
        drift=station.drift.settings(),
        stride_px=defaults.stride_px if own is None else own.stride_px,
        workers=defaults.workers if own is None else own.workers,
        recipe=recipe,
    )


def _only_recipe(
    recipe: Path | None, detector: Path | None, calibration: Path | None
) -> Path | None:
    if recipe is not None and (beside := detector or calibration) is not None:
        raise SemedgeError(
            f"The recipe {recipe} holds a detector and a calibration, and {beside} was given "
            "beside it; give one or the other."
        )
    return recipe


def _required(calibration: Path | None, detector: Path | None) -> Path:
    if calibration is None:
        which = "" if detector is None else f"--detector {detector} "
        raise SemedgeError(
            "No calibration was given; make one from normal frames with `semedge calibrate "
            f"{which}--images DIR --out calibration.json`, and give it with --calibration."
        )
    return calibration

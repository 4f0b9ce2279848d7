"""The setup of a camera: what its frames are judged by, loaded and ready."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from semedge.cameras import Camera, CameraSettings, open_camera
from semedge.cameras.settings import AS_IT_IS, TIMEOUT_S
from semedge.core.redact import redact
from semedge.core.view import WHOLE, ViewSettings
from semedge.decision.calibration_file import calibration_sha256
from semedge.decision.defect import DecisionSettings, Levels
from semedge.decision.drift import DriftSettings
from semedge.decision.fields import patches_calibrated
from semedge.decision.health import HealthSettings
from semedge.inference.detector import Detector
from semedge.state.snapshot import ActiveSetup
from semedge_calibration import Calibration


class CameraChoice(Protocol):
    """A camera that can be opened repeatedly."""

    @property
    def shown(self) -> str:
        """Its name in messages, without passwords."""

    def open(self) -> Camera:
        """Open it; `SemedgeError` where it cannot be."""


@dataclass(frozen=True)
class SourceChoice:
    """A camera by its source; the attributes are those of `open_camera`."""

    source: str
    timeout_s: float = TIMEOUT_S
    loop: bool = False
    settings: CameraSettings = AS_IT_IS

    @property
    def shown(self) -> str:
        """The source without passwords."""
        return redact(self.source)

    def open(self) -> Camera:
        """Open the camera."""
        return open_camera(
            self.source, timeout_s=self.timeout_s, loop=self.loop, settings=self.settings
        )

    def set_by(self, settings: CameraSettings) -> SourceChoice:
        """The camera, with its settings overridden by these."""
        return replace(self, settings=self.settings.overridden_by(settings))

    def with_bits(self, *known: int | None) -> SourceChoice:
        """The camera; where the bits of its pixels are not set, those of the first that knows."""
        return replace(self, settings=self.settings.with_bits(*known))


def view_of(camera: CameraChoice) -> ViewSettings:
    """What of the camera's frames is inspected."""
    return camera.settings if isinstance(camera, SourceChoice) else WHOLE


DEFAULT_HEALTH = HealthSettings()
DEFAULT_DRIFT = DriftSettings()


@dataclass(frozen=True)
class RecipeIdentity:
    """The recipe that a setup came from."""

    name: str
    version: int
    sha256: str


@dataclass(frozen=True)
class CameraSetup:
    """A camera, and what its frames are judged by.

    Attributes
    ----------
    camera
        The source of the frames.
    detector, calibration
        The detector that scores them, and the calibration of its scores.
    levels
        The scores above which a frame warns and alarms.
    decision
        When frames above a level are a defect; `levels` overrides its levels.
    health
        When a picture is too bad to inspect.
    drift
        When a difference from the calibration counts as drift.
    recipe
        The recipe that it came from; None where it was loaded from separate files.
    """

    camera: CameraChoice
    detector: Detector
    calibration: Calibration
    levels: Levels
    decision: DecisionSettings
    health: HealthSettings = DEFAULT_HEALTH
    drift: DriftSettings = DEFAULT_DRIFT
    recipe: RecipeIdentity | None = None

    @property
    def active_setup(self) -> ActiveSetup:
        """The setup as the station shows it."""
        return ActiveSetup(
            detector_sha256=self.detector.bundle.sha256,
            calibration_sha256=calibration_sha256(self.calibration),
            levels=self.levels,
            threshold=self.calibration.threshold,
            guarantee=self.calibration.guarantee,
            false_alarm_rate=self.calibration.false_alarm_rate,
            calibrated_patches=patches_calibrated(self.calibration.grid),
            recipe=None if self.recipe is None else self.recipe.name,
            recipe_version=None if self.recipe is None else self.recipe.version,
            recipe_sha256=None if self.recipe is None else self.recipe.sha256,
            detector=self.detector.bundle.manifest.detector,
        )


@dataclass(frozen=True)
class StationCamera:
    """A camera's name in the station, and its setup."""

    name: str
    setup: CameraSetup

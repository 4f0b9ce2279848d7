"""The setup of a camera: what its frames are judged by, loaded and ready."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from semedge.cameras import Camera, CameraSettings, open_camera
from semedge.cameras.settings import AS_IT_IS, TIMEOUT_S
from semedge.core.redact import redact
from semedge.core.view import WHOLE, Rectangle, ViewSettings
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
    """A camera by its source.

    Attributes
    ----------
    source, timeout_s, loop, settings
        Those of `open_camera`.
    undrawn_px
        Rectangles that the station file or the recipe leaves out, where people have drawn those of
        `settings` in their place; None where they have not.
    """

    source: str
    timeout_s: float = TIMEOUT_S
    loop: bool = False
    settings: CameraSettings = AS_IT_IS
    undrawn_px: tuple[Rectangle, ...] | None = None

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

    def leaving_out(self, drawn_px: tuple[Rectangle, ...]) -> SourceChoice:
        """The camera, with rectangles that people drew in place of all others."""
        before = self.settings.leave_out_px if self.undrawn_px is None else self.undrawn_px
        return replace(
            self,
            settings=self.settings.model_copy(update={"leave_out_px": drawn_px}),
            undrawn_px=None if drawn_px == before else before,
        )

    def drawn_like(self, other: CameraChoice) -> SourceChoice:
        """The camera, with the rectangles drawn on another where both had the same before."""
        if not isinstance(other, SourceChoice) or other.undrawn_px != self.settings.leave_out_px:
            return self
        return self.leaving_out(other.settings.leave_out_px)

    def gives_frames_of(self, other: CameraChoice) -> bool:
        """Whether both differ at most in what is left out, so that neither is opened again."""
        return isinstance(other, SourceChoice) and self._inspected_whole == other._inspected_whole

    @property
    def undrawn(self) -> SourceChoice:
        """The camera without what was drawn."""
        return self if self.undrawn_px is None else self.leaving_out(self.undrawn_px)

    @property
    def _inspected_whole(self) -> SourceChoice:
        everything = {"leave_out_px": (), "leave_out_mask": None}
        settings = self.settings.model_copy(update=everything)
        return replace(self, settings=settings, undrawn_px=None)

    def with_bits(self, *known: int | None) -> SourceChoice:
        """The camera; where the bits of its pixels are not set, those of the first that knows."""
        return replace(self, settings=self.settings.with_bits(*known))


def view_of(camera: CameraChoice) -> ViewSettings:
    """What of the camera's frames is inspected."""
    return camera.settings if isinstance(camera, SourceChoice) else WHOLE


def view_of_files(camera: CameraChoice) -> CameraSettings:
    """The same for the camera's frames in files, which have no other settings."""
    view = view_of(camera)
    return AS_IT_IS.model_copy(
        update={name: getattr(view, name) for name in ViewSettings.model_fields}
    )


def same_frames(one: CameraChoice, other: CameraChoice) -> bool:
    """Whether two cameras give the same frames, of which other parts may be left out."""
    if isinstance(one, SourceChoice):
        return one.gives_frames_of(other)
    return one == other


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
            largest_group=self.calibration.largest_group or 1.0,
            leave_out_px=view_of(self.camera).leave_out_px,
            is_drawn=isinstance(self.camera, SourceChoice) and self.camera.undrawn_px is not None,
            reach_px=self.detector.reach_px,
        )


@dataclass(frozen=True)
class StationCamera:
    """A camera's name in the station, and its setup."""

    name: str
    setup: CameraSetup

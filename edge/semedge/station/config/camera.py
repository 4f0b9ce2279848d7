"""The station file's settings of a camera and of its health."""

from __future__ import annotations

from pydantic import Field

from semedge.cameras.settings import CameraSettings
from semedge.core.section import Section
from semedge.decision.health import HealthSettings, Problem

FeatureValue = bool | int | float | str


class CameraSettingsSection(Section):
    """What a camera is told; what is absent stays as the camera has it."""

    exposure_us: float | None = Field(default=None, gt=0, description="Exposure time.")
    gain: float | None = Field(
        default=None, description="Gain in the camera's own unit, for most decibels."
    )
    frame_rate_hz: float | None = Field(
        default=None, gt=0, description="Frames a second of a camera that runs free."
    )
    region_px: tuple[int, int, int, int] | None = Field(
        default=None, description="Left, top, width and height of the part that is read."
    )
    pixel_format: str | None = Field(
        default=None, min_length=1, description="Pixel format, from Mono8 to Mono16."
    )
    trigger: str | None = Field(
        default=None,
        min_length=1,
        description="off (free run), software, or the camera's input, such as Line1.",
    )
    crop_bottom_px: int | None = Field(
        default=None, ge=0, description="Rows cut off at the lower edge: an information bar."
    )
    features: dict[str, FeatureValue] | None = Field(
        default=None,
        description="Further features of the camera by their GenICam names, set in this order.",
    )

    def settings(self) -> CameraSettings:
        """The settings for `open_camera`."""
        return CameraSettings(
            exposure_us=self.exposure_us,
            gain=self.gain,
            frame_rate_hz=self.frame_rate_hz,
            region_px=self.region_px,
            pixel_format=self.pixel_format,
            trigger=self.trigger,
            crop_bottom_px=self.crop_bottom_px or 0,
            features=feature_texts(self.features or {}),
        )


class HealthSection(Section):
    """`[health]`: from when on a picture is too bad to inspect."""

    frames_to_start: int = Field(
        default=3, ge=1, le=1000, description="Bad frames in a row that start a problem."
    )
    frames_to_end: int = Field(
        default=3, ge=1, le=1000, description="Good frames in a row that end it."
    )
    frozen_after_s: float = Field(
        default=5.0, gt=0, description="Longest time that a camera may send the same picture."
    )
    frozen_difference: float = Field(
        default=1e-4,
        ge=0,
        lt=1,
        description="Mean difference of two pictures, as a share of the range, up to which they "
        "are the same.",
    )
    dark_share: float = Field(
        default=0.25,
        ge=0,
        lt=1,
        description="Dark is a picture whose bright parts fall below this share of those of any "
        "frame of the calibration.",
    )
    saturated_share: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="Share of white pixels allowed on top of that of the calibration's frames.",
    )
    sharpness_share: float = Field(
        default=0.6,
        ge=0,
        lt=1,
        description="Out of focus is a picture below this share of the sharpness of any frame of "
        "the calibration.",
    )
    brightness_deviations: float = Field(
        default=0.5,
        gt=0,
        description="How far the mean gray may leave that of the calibration's frames, in "
        "standard deviations of the training frames' gray values.",
    )
    inspect_during: tuple[Problem, ...] = Field(
        default=(), description="Problems during which frames are inspected nevertheless."
    )

    def settings(self) -> HealthSettings:
        """The limits for `CameraHealth`."""
        return HealthSettings(**self.model_dump())


def feature_texts(features: dict[str, FeatureValue]) -> tuple[tuple[str, str], ...]:
    """Features as GenICam reads them: truth values are 1 and 0."""
    return tuple(
        (name, str(int(value)) if isinstance(value, bool) else str(value))
        for name, value in features.items()
    )

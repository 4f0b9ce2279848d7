"""Settings that a camera gets before it sends frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt

from semedge.core.errors import SemedgeError
from semedge.core.section import WrittenAs
from semedge.core.view import ViewSettings

FREE_RUN = "off"
SOFTWARE = "software"
TIMEOUT_S = 10.0
"""Default of the longest time without a frame before a camera counts as stalled."""


def feature_texts(features: Any) -> Any:
    """A table of features as names and texts, as GenICam reads them: true is 1, false is 0."""
    if not isinstance(features, Mapping):
        return features
    return tuple((name, _text(name, value)) for name, value in features.items())


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    raise ValueError(f"{name} must be a string, a finite number, true or false")


class CameraSettings(ViewSettings):
    """Settings of a camera; where one is None, the camera keeps its own value."""

    exposure_us: float | None = Field(
        default=None,
        gt=0,
        description="Exposure time; only for genicam:, pylon: and aravis: cameras, as are all "
        "settings but those of the view.",
    )
    gain: float | None = Field(
        default=None, description="Gain in the camera's own unit, usually decibels."
    )
    frame_rate_hz: float | None = Field(
        default=None, gt=0, description="Frames a second of a camera that runs freely."
    )
    region_px: tuple[NonNegativeInt, NonNegativeInt, PositiveInt, PositiveInt] | None = Field(
        default=None,
        description="Left, top, width and height of the part of the sensor that is read.",
    )
    pixel_format: str | None = Field(
        default=None, min_length=1, description="Pixel format, from Mono8 to Mono16."
    )
    trigger: str | None = Field(
        default=None,
        min_length=1,
        description="off for a camera that runs freely, software for a trigger when a frame is "
        "needed, or the camera's input, such as Line1.",
    )
    recursive: bool = Field(
        default=False, description="Read the subfolders of a folder of images too."
    )
    follow: bool = Field(
        default=False,
        description="Watch a folder for new images; each is taken once, when it is complete, and "
        "listed in .semedge-taken there.",
    )
    move_to: Path | None = Field(
        default=None,
        description="With follow, move images that are done to this folder on the same disk, "
        "instead of listing them.",
    )
    features: Annotated[
        tuple[tuple[str, str], ...], BeforeValidator(feature_texts), WrittenAs("table")
    ] = Field(
        default=(),
        description="Further features by their GenICam names, set before the rest, in this order.",
    )

    def overridden_by(self, others: CameraSettings) -> CameraSettings:
        """These settings, overridden by those of the others that differ from the defaults."""
        defaults = type(others).model_fields
        changed = {name: value for name, value in others if value != defaults[name].default}
        return self.model_copy(update=changed)

    def refuse_for(self, source: str) -> None:
        """Raise `SemedgeError` where a setting is set that `source` lacks."""
        for name, value in self:
            if name in OF_EVERY_SOURCE:
                continue
            if value != type(self).model_fields[name].default:
                raise SemedgeError(
                    f"{name} = {value} cannot be set on {source}; only genicam:, pylon: and "
                    "aravis: cameras have such settings, so leave it out."
                )

    @property
    def waits_for_trigger(self) -> bool:
        """Whether an input triggers frames, so that a pause is not a fault of the camera."""
        return self.trigger is not None and self.trigger not in (FREE_RUN, SOFTWARE)


OF_EVERY_SOURCE = frozenset({*ViewSettings.model_fields, "recursive", "follow", "move_to"})
"""Settings that are not the camera's own."""
AS_IT_IS = CameraSettings()

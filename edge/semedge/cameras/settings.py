"""What a camera is told before it sends frames."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from semedge.core.errors import SemedgeError

FREE_RUN = "off"
SOFTWARE = "software"


@dataclass(frozen=True)
class CameraSettings:
    """Settings of a camera; what is None stays as the camera has it.

    Attributes
    ----------
    exposure_us
        Exposure time.
    gain
        In the camera's own unit, for most decibels.
    frame_rate_hz
        Frames a second of a camera that runs free.
    region_px
        Left, top, width and height of the part of the sensor that is read.
    pixel_format
        Name by GenICam's naming convention, from Mono8 to Mono16.
    trigger
        `off` for a camera that runs free, `software` for a frame whenever the reader asks for one,
        or the name of the camera's input, such as `Line1`.
    crop_bottom_px
        Rows that are cut off at the lower edge, such as a microscope's information bar.
    features
        Names and values of further features of the camera, set before the rest and in this order.
    """

    exposure_us: float | None = None
    gain: float | None = None
    frame_rate_hz: float | None = None
    region_px: tuple[int, int, int, int] | None = None
    pixel_format: str | None = None
    trigger: str | None = None
    crop_bottom_px: int = 0
    features: tuple[tuple[str, str], ...] = ()

    def overruled_by(self, others: CameraSettings) -> CameraSettings:
        """The other settings where they say something, and these elsewhere."""
        said = {
            field.name: value
            for field in fields(others)
            if (value := getattr(others, field.name)) != field.default
        }
        return replace(self, **said)

    def refuse_for(self, source: str) -> None:
        """`SemedgeError` where something but the crop is set, which `source` cannot be told."""
        kept = CameraSettings(crop_bottom_px=self.crop_bottom_px)
        for field in fields(self):
            value = getattr(self, field.name)
            if value != getattr(kept, field.name):
                raise SemedgeError(
                    f"{field.name} = {value} cannot be set on {source}; only genicam:, pylon: and "
                    "aravis: cameras are told such settings, so leave it out."
                )

    @property
    def waits_for_line(self) -> bool:
        """Whether frames come when a signal does, so that silence is no fault of the camera."""
        return self.trigger is not None and self.trigger not in (FREE_RUN, SOFTWARE)


AS_IT_IS = CameraSettings()

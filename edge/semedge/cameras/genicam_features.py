"""Settings written into a camera by the names of GenICam's standard features (SFNC)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from semedge.cameras.live import CameraSettingsError
from semedge.cameras.settings import FREE_RUN, SOFTWARE, CameraSettings

EXPOSURE = ("ExposureTime", "ExposureTimeAbs", "ExposureTimeRaw")
GAIN = ("Gain", "GainAbs", "GainRaw")
FRAME_RATE = ("AcquisitionFrameRate", "AcquisitionFrameRateAbs")
FRAME_RATE_SWITCHES = ("AcquisitionFrameRateEnable", "AcquisitionFrameRateEnabled")
FRAME_TRIGGERS = ("FrameStart", "AcquisitionStart")


class Features(Protocol):
    """A camera's features, independent of the library that accesses them."""

    def is_writable(self, name: str) -> bool:
        """Whether the camera has the feature, and it can be set now."""

    def bounds(self, name: str) -> tuple[float, float, float]:
        """Smallest and largest value of a number, and its step; 0 where it has no step."""

    def choices(self, name: str) -> Sequence[str]:
        """Values that an enumeration can take now."""

    def set_number(self, name: str, value: float) -> None:
        """Set an integer or a float."""

    def set_choice(self, name: str, value: str) -> None:
        """Set an enumeration."""

    def set_flag(self, name: str, value: bool) -> None:
        """Set a boolean."""

    def set_text(self, name: str, value: str) -> None:
        """Set a feature of any kind from text, as GenICam reads it."""

    def execute(self, name: str) -> None:
        """Execute a command of the camera."""


def apply_settings(settings: CameraSettings, features: Features, source: str) -> None:
    """Set a camera's features.

    The message of a `CameraSettingsError` names the feature that is refused and what is allowed.
    """
    writer = _Writer(features, source)
    for name, value in settings.features:
        writer.set_text(name, value)
    if settings.pixel_format is not None:
        writer.choose("pixel_format", ("PixelFormat",), settings.pixel_format)
    if settings.region_px is not None:
        writer.set_region(settings.region_px)
    if settings.trigger is not None:
        writer.set_trigger(settings.trigger)
    if settings.exposure_us is not None:
        writer.switch_off("ExposureAuto")
        writer.set_number("exposure_us", EXPOSURE, settings.exposure_us)
    if settings.gain is not None:
        writer.switch_off("GainAuto")
        writer.set_number("gain", GAIN, settings.gain)
    if settings.frame_rate_hz is not None:
        for name in FRAME_RATE_SWITCHES:
            if features.is_writable(name):
                features.set_flag(name, True)
        writer.set_number("frame_rate_hz", FRAME_RATE, settings.frame_rate_hz)


class _Writer:
    """Sets features of one camera, and reports refusals by the names of the settings."""

    def __init__(self, features: Features, source: str) -> None:
        self._features = features
        self._source = source

    def set_text(self, name: str, value: str) -> None:
        """Set any feature; libraries raise different errors where it is refused."""
        if not self._features.is_writable(name):
            raise CameraSettingsError(self._absent(f"features.{name}", value, (name,)))
        try:
            self._features.set_text(name, value)
        except Exception as error:
            raise CameraSettingsError(
                f"features.{name} = {value} is refused by the camera {self._source} ({error}); "
                "give a value that it allows."
            ) from error

    def set_number(self, setting: str, names: Sequence[str], value: float) -> None:
        """Set the first of `names` that the camera has, where it allows `value`."""
        name = self._first(setting, names, value)
        low, high, step = self._features.bounds(name)
        off_step = step > 1 and (value - low) % step != 0
        if not low <= value <= high or off_step:
            steps = f" in steps of {step:.10g}" if step > 1 else ""
            raise CameraSettingsError(
                f"{setting} = {value:.16g} is refused by the camera {self._source}; it allows "
                f"{low:.10g} to {high:.10g}{steps}."
            )
        self._features.set_number(name, value)

    def choose(self, setting: str, names: Sequence[str], value: str) -> None:
        """Set the first of `names` that the camera has, where it accepts `value`."""
        name = self._first(setting, names, value)
        choices = self._features.choices(name)
        if value not in choices:
            raise CameraSettingsError(
                f"{setting} = {value} is refused by the camera {self._source}; it allows "
                f"{', '.join(choices)}."
            )
        self._features.set_choice(name, value)

    def switch_off(self, name: str) -> None:
        """Switch off an automatic mode that would override a value, where the camera has it."""
        if self._features.is_writable(name) and "Off" in self._features.choices(name):
            self._features.set_choice(name, "Off")

    def set_region(self, region_px: tuple[int, int, int, int]) -> None:
        """Set the region, offsets to their minimum first: offsets and size bound each other."""
        left, top, width, height = region_px
        for offset in ("OffsetX", "OffsetY"):
            if self._features.is_writable(offset):
                self._features.set_number(offset, self._features.bounds(offset)[0])
        self.set_number("region_px: width", ("Width",), width)
        self.set_number("region_px: height", ("Height",), height)
        for setting, name, value in (
            ("region_px: left", "OffsetX", left),
            ("region_px: top", "OffsetY", top),
        ):
            if value or self._features.is_writable(name):
                self.set_number(setting, (name,), value)

    def set_trigger(self, trigger: str) -> None:
        """Let the camera run freely, or trigger each frame by software or by an input."""
        features = self._features
        selects = features.is_writable("TriggerSelector")
        known = features.choices("TriggerSelector") if selects else ()
        for each in known:
            features.set_choice("TriggerSelector", each)
            self.switch_off("TriggerMode")
        self.switch_off("TriggerMode")
        if trigger == FREE_RUN:
            return
        for each in FRAME_TRIGGERS:
            if each in known:
                features.set_choice("TriggerSelector", each)
                break
        source = "Software" if trigger == SOFTWARE else trigger
        self.choose("trigger", ("TriggerSource",), source)
        self.choose("trigger", ("TriggerMode",), "On")

    def _first(self, setting: str, names: Sequence[str], value: object) -> str:
        for name in names:
            if self._features.is_writable(name):
                return name
        raise CameraSettingsError(self._absent(setting, value, names))

    def _absent(self, setting: str, value: object, names: Sequence[str]) -> str:
        shown = f"{value:.16g}" if isinstance(value, float) else value
        return (
            f"{setting} = {shown} cannot be set: the camera {self._source} has no feature "
            f"{' or '.join(names)} that can be written; leave the setting out."
        )

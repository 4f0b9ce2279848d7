"""What GenICam, pylon and Aravis cameras share: settings, triggers, and timeouts."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass

from semedge.cameras.genicam_features import Features
from semedge.cameras.live import POLL_S, Capture, CaptureLostError, LiveCamera, Shot
from semedge.cameras.settings import SOFTWARE, CameraSettings

TRIGGER_AGAIN_S = 1.0
"""Wait for the frame of a software trigger, before the next trigger."""


@dataclass(frozen=True)
class Device:
    """A camera that is connected, and the source that opens it."""

    source: str
    vendor: str
    model: str
    serial: str


class DeviceCamera(LiveCamera):
    """A camera that takes settings.

    Parameters
    ----------
    source
        The source string.
    settings
        Settings that are written to the camera each time it is opened.
    timeout_s
        Longest wait for a frame before a read raises `CameraStalledError`.
    """

    def __init__(self, source: str, settings: CameraSettings, *, timeout_s: float) -> None:
        self._settings = settings
        remedy = "it is being reconnected: check the camera and its cable"
        if settings.waits_for_trigger:
            remedy = (
                f"it waits for a signal on {settings.trigger}: check the trigger, or allow for "
                "pauses of the line with a longer timeout_s"
            )
        super().__init__(source, timeout_s=timeout_s, remedy=remedy)


class DeviceCapture(Capture):
    """A connection to a camera that takes settings; a subclass is one vendor's library."""

    def __init__(self, settings: CameraSettings, features: Features) -> None:
        self.on_demand = settings.trigger == SOFTWARE
        self._waits_for_trigger = settings.waits_for_trigger
        self._features = features
        self._triggered_s: float | None = None

    @abstractmethod
    def fetch(self, timeout_s: float) -> Shot | None:
        """The next frame; None where none came within `timeout_s`."""

    @abstractmethod
    def check_link(self) -> None:
        """Raise `CaptureLostError` where the camera no longer answers."""

    def read(self) -> Shot | None:
        """The next frame, after a trigger where the setting is `software`."""
        if self.on_demand and not self._is_under_way():
            self.start_frame()
            self._triggered_s = time.monotonic()
        shot = self.fetch(POLL_S)
        if shot is not None:
            self._triggered_s = None
        return shot

    def start_frame(self) -> None:
        """Trigger a frame by software."""
        self._features.execute("TriggerSoftware")

    def _is_under_way(self) -> bool:
        """Whether a frame was triggered recently; a camera that was not ready ignores a trigger."""
        started_s = self._triggered_s
        return started_s is not None and time.monotonic() - started_s < TRIGGER_AGAIN_S

    def check_timeout(self) -> None:
        """Accept that no frame came where the camera answers and waits for its trigger."""
        if not self._waits_for_trigger:
            raise CaptureLostError("it stopped sending")
        self.check_link()

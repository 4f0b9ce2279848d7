"""Basler cameras through pypylon: `pylon:SERIAL`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from semedge.cameras.device import Device, DeviceCamera, DeviceCapture
from semedge.cameras.genicam_features import apply_settings
from semedge.cameras.live import POLL_S, Capture, CaptureLostError, Shot
from semedge.cameras.pixel_formats import decoded
from semedge.cameras.settings import CameraSettings
from semedge.core.errors import SemedgeError
from semedge.core.optional import import_extra

PREFIX = "pylon:"

NO_NUMBER = 2**64 - 1
"""The frame number of cameras that do not number their frames."""


def list_devices() -> list[Device]:
    """Basler cameras that are connected."""
    return [
        Device(
            f"{PREFIX}{info.GetSerialNumber()}",
            info.GetVendorName(),
            info.GetModelName(),
            info.GetSerialNumber(),
        )
        for info in load_library().TlFactory.GetInstance().EnumerateDevices()
    ]


class PylonCamera(DeviceCamera):
    """The newest frame of a Basler camera; without a serial number, the only one is used."""

    def __init__(self, source: str, settings: CameraSettings, *, timeout_s: float) -> None:
        self._serial = source.removeprefix(PREFIX)
        load_library()
        super().__init__(source, settings, timeout_s=timeout_s)

    def connect(self) -> Capture:
        """Connect through pylon."""
        return PylonCapture(self._serial, self._settings, self.source)


class PylonCapture(DeviceCapture):
    """A connection through pypylon."""

    def __init__(self, serial: str, settings: CameraSettings, source: str) -> None:
        self._pylon = pylon = load_library()
        factory = pylon.TlFactory.GetInstance()
        connected = {info.GetSerialNumber(): info for info in factory.EnumerateDevices()}
        if serial not in connected and (serial or len(connected) != 1):
            raise SemedgeError(f"pylon sees {', '.join(connected) or 'no camera'}")
        info = connected[serial] if serial else next(iter(connected.values()))
        self.device = pylon.InstantCamera(factory.CreateDevice(info))
        try:
            self.device.Open()
            nodes = self.device.GetNodeMap()
            features = PylonFeatures(nodes)
            super().__init__(settings, features)
            apply_settings(settings, features, source)
            self._pixel_format = nodes.GetNode("PixelFormat").GetValue()
            self._ticks_hz = _ticks_hz(nodes)
            self.device.StartGrabbing(pylon.GrabStrategy_LatestImageOnly)
        except BaseException:
            self.close()
            raise

    def fetch(self, timeout_s: float) -> Shot | None:
        """The newest result that pylon has."""
        timeout_ms = int(timeout_s * 1e3)
        result = self.device.RetrieveResult(timeout_ms, self._pylon.TimeoutHandling_Return)
        try:
            if not result.IsValid():
                self.check_link()
                return None
            return self._shot(result)
        finally:
            result.Release()

    def start_frame(self) -> None:
        """Trigger a frame by software, as soon as the camera is ready."""
        wait_ms = int(POLL_S * 1e3)
        if self.device.CanWaitForFrameTriggerReady():
            self.device.WaitForFrameTriggerReady(wait_ms, self._pylon.TimeoutHandling_Return)
        super().start_frame()

    def check_link(self) -> None:
        """Query pylon, which monitors the camera by a heartbeat."""
        if self.device.IsCameraDeviceRemoved():
            raise CaptureLostError("it was unplugged")

    def close(self) -> None:
        """Stop and release the camera."""
        self.device.StopGrabbing()
        self.device.Close()
        self.device.DestroyDevice()

    def _shot(self, result: Any) -> Shot:
        number = result.BlockID if result.BlockID != NO_NUMBER else result.ImageNumber
        time_ns = result.TimeStamp * 10**9 // self._ticks_hz if result.TimeStamp else None
        if not result.GrabSucceeded():
            return Shot(None, number, time_ns)
        shape = (result.Height, result.Width)
        pixels = np.frombuffer(result.GetBuffer(), np.uint8)
        image, colours = decoded(pixels, self._pixel_format, shape, result.PaddingX)
        return Shot(image, number, time_ns, colours)


class PylonFeatures:
    """The features of a camera, through pypylon's GenApi."""

    def __init__(self, nodes: Any) -> None:
        from pypylon import genicam

        self._nodes = nodes
        self._genicam = genicam

    def is_writable(self, name: str) -> bool:
        """Whether the camera has the feature, and it can be set now."""
        node = self._nodes.GetNode(name)
        return node is not None and bool(self._genicam.IsWritable(node))

    def bounds(self, name: str) -> tuple[float, float, float]:
        """Smallest and largest value, and the step of an integer."""
        node = self._nodes.GetNode(name)
        step = node.GetInc() if self._is_integer(node) else 0
        return node.GetMin(), node.GetMax(), step

    def choices(self, name: str) -> Sequence[str]:
        """Values that an enumeration can take now."""
        symbols: Sequence[str] = self._nodes.GetNode(name).GetSymbolics()
        return symbols

    def set_number(self, name: str, value: float) -> None:
        """Set an integer or a float."""
        node = self._nodes.GetNode(name)
        node.SetValue(round(value) if self._is_integer(node) else value)

    def set_choice(self, name: str, value: str) -> None:
        """Set an enumeration."""
        self._nodes.GetNode(name).SetValue(value)

    def set_flag(self, name: str, value: bool) -> None:
        """Set a boolean."""
        self._nodes.GetNode(name).SetValue(value)

    def set_text(self, name: str, value: str) -> None:
        """Set a feature of any kind from text."""
        self._nodes.GetNode(name).FromString(value)

    def execute(self, name: str) -> None:
        """Execute a command of the camera."""
        self._nodes.GetNode(name).Execute()

    def _is_integer(self, node: Any) -> bool:
        return isinstance(node, self._genicam.IInteger)


def _ticks_hz(nodes: Any) -> int:
    """Ticks a second of the camera's clock; 1e9 where the camera does not report it."""
    from pypylon import genicam

    node = nodes.GetNode("GevTimestampTickFrequency")
    return int(node.GetValue()) if node is not None and genicam.IsReadable(node) else 10**9


def load_library() -> Any:
    """The library; the message of a `SemedgeError` names what to install."""
    return import_extra("pypylon.pylon", "pylon", "A pylon: camera")

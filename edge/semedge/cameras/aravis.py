"""GigE Vision and USB3 Vision cameras through Aravis: `aravis:NAME`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from semedge.cameras.chunks import without_chunks
from semedge.cameras.device import Device, DeviceCamera, DeviceCapture
from semedge.cameras.genicam_features import apply_settings
from semedge.cameras.live import (
    CameraSettingsError,
    Capture,
    CaptureLostError,
    Shot,
)
from semedge.cameras.pixel_formats import decoded
from semedge.cameras.settings import CameraSettings
from semedge.core.errors import SemedgeError

PREFIX = "aravis:"
INSTALL = (
    "apt-get install gir1.2-aravis-0.8 libgirepository1.0-dev libcairo2-dev pkg-config gcc, then "
    "pip install 'semedge[aravis]'"
)
BUFFERS = 8


def list_devices() -> list[Device]:
    """Cameras that answer on the network or are plugged in; the search takes a second."""
    aravis = load_library()
    aravis.update_device_list()
    return [
        Device(
            f"{PREFIX}{aravis.get_device_id(index)}",
            aravis.get_device_vendor(index),
            aravis.get_device_model(index),
            aravis.get_device_serial_nbr(index),
        )
        for index in range(aravis.get_n_devices())
    ]


class AravisCamera(DeviceCamera):
    """The newest frame of a camera.

    `NAME` is the name that `semedge cameras` lists, an address or a serial number; without one, the
    only camera is used.
    """

    def __init__(self, source: str, settings: CameraSettings, *, timeout_s: float) -> None:
        self._name = source.removeprefix(PREFIX)
        load_library()
        super().__init__(source, settings, timeout_s=timeout_s)

    def connect(self) -> Capture:
        """Connect through Aravis."""
        return AravisCapture(self._name, self._settings, self.source)


class AravisCapture(DeviceCapture):
    """A connection through Aravis."""

    def __init__(self, name: str, settings: CameraSettings, source: str) -> None:
        self._aravis = aravis = load_library()
        self._lost = threading.Event()
        identifier = _identifier_of(name)
        try:
            self._camera = aravis.Camera.new(identifier)
        except Exception as error:
            raise SemedgeError(getattr(error, "message", str(error))) from error
        self._stream: Any = None
        device = self._camera.get_device()
        self._byte_order = ">" if isinstance(device, aravis.GvDevice) else "<"
        if isinstance(device, aravis.GvDevice) and not device.is_controller():
            raise CaptureLostError("another program controls it; end that one")
        self._camera.get_device().connect("control-lost", _setter(self._lost))
        super().__init__(settings, AravisFeatures(self._camera.get_device()))
        try:
            apply_settings(settings, self._features, source)
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        self._pixel_format = self._camera.get_pixel_format_as_string()
        _, _, width, height = self._camera.get_region()
        self._shape = height, width
        self._stream = self._camera.create_stream(None, None)
        payload_bytes = self._camera.get_payload()
        for _ in range(BUFFERS):
            self._stream.push_buffer(self._aravis.Buffer.new_allocate(payload_bytes))
        self._camera.set_acquisition_mode(self._aravis.AcquisitionMode.CONTINUOUS)
        self._camera.start_acquisition()

    def fetch(self, timeout_s: float) -> Shot | None:
        """The next buffer, copied, so that the stream can reuse its memory."""
        buffer = self._stream.timeout_pop_buffer(int(timeout_s * 1e6))
        if buffer is None:
            self.check_link()
            return None
        try:
            return self._shot(buffer)
        finally:
            self._stream.push_buffer(buffer)

    def check_link(self) -> None:
        """Query Aravis, which monitors the camera by a heartbeat, with a limit of 5 s."""
        if self._lost.is_set():
            raise CaptureLostError("it no longer answers")

    def close(self) -> None:
        """Stop, where the camera answers, and release the control of it."""
        device = self._camera.get_device()
        try:
            if self._stream is not None and not self._lost.is_set():
                self._camera.stop_acquisition()
        finally:
            if isinstance(device, self._aravis.GvDevice) and not self._lost.is_set():
                device.leave_control()
            self._stream = self._camera = None

    def _shot(self, buffer: Any) -> Shot:
        number, time_ns = buffer.get_frame_id(), buffer.get_timestamp() or None
        if buffer.get_status() != self._aravis.BufferStatus.SUCCESS:
            return Shot(None, number, time_ns)
        shape, padding_bytes = self._shape, 0
        # A buffer of the payload type of chunks alone says nothing about the picture in it.
        if buffer.get_n_parts():
            shape = (buffer.get_image_height(), buffer.get_image_width())
            padding_bytes, _ = buffer.get_image_padding()
        pixels = np.frombuffer(buffer.get_data(), np.uint8)
        if buffer.has_chunks():
            pixels = without_chunks(pixels, self._byte_order)
        image, colours = decoded(pixels, self._pixel_format, shape, padding_bytes)
        return Shot(image, number, time_ns, colours)


class AravisFeatures:
    """The features of a camera, through Aravis's own GenApi."""

    def __init__(self, device: Any) -> None:
        self._device = device
        self._aravis = load_library()

    def is_writable(self, name: str) -> bool:
        """Whether the camera has the feature, and it can be set now."""
        if not self._device.is_feature_available(name):
            return False
        mode = self._device.get_feature(name).get_actual_access_mode()
        return mode in (self._aravis.GcAccessMode.WO, self._aravis.GcAccessMode.RW)

    def bounds(self, name: str) -> tuple[float, float, float]:
        """Smallest and largest value, and the step of an integer."""
        if self._is_float(name):
            low, high = self._device.get_float_feature_bounds(name)
            return low, high, 0
        low, high = self._device.get_integer_feature_bounds(name)
        return low, high, self._device.get_integer_feature_increment(name)

    def choices(self, name: str) -> Sequence[str]:
        """Values that an enumeration can take now."""
        values: Sequence[str] = self._device.dup_available_enumeration_feature_values_as_strings(
            name
        )
        return values

    def set_number(self, name: str, value: float) -> None:
        """Set an integer or a float."""
        if self._is_float(name):
            self._device.set_float_feature_value(name, value)
        else:
            self._device.set_integer_feature_value(name, round(value))

    def set_choice(self, name: str, value: str) -> None:
        """Set an enumeration."""
        self._device.set_string_feature_value(name, value)

    def set_flag(self, name: str, value: bool) -> None:
        """Set a boolean."""
        self._device.set_boolean_feature_value(name, value)

    def set_text(self, name: str, value: str) -> None:
        """Set a feature of any kind from text."""
        self._device.set_features_from_string(f"{name}={value}")

    def execute(self, name: str) -> None:
        """Execute a command of the camera."""
        self._device.execute_command(name)

    def _is_float(self, name: str) -> bool:
        return isinstance(self._device.get_feature(name), self._aravis.GcFloat)


def _identifier_of(name: str) -> str:
    """Aravis's identifier of a camera that answers now.

    Aravis searches by itself for a name that it does not know, and then often sends the frames to
    another of the computer's addresses.
    """
    aravis = load_library()
    aravis.update_device_list()
    found: list[str] = []
    for index in range(aravis.get_n_devices()):
        found.append(aravis.get_device_id(index))
        names = (aravis.get_device_address(index), aravis.get_device_serial_nbr(index), found[-1])
        if name in names:
            return found[-1]
    if name or len(found) != 1:
        raise SemedgeError(f"Aravis sees {', '.join(found) or 'no camera'}")
    return found[0]


def _setter(event: threading.Event) -> Any:
    """A signal handler that refers to the event alone, so that the camera can be released."""
    return lambda *_: event.set()


def load_library() -> Any:
    """The library; the message of a `SemedgeError` names what to install."""
    try:
        import gi

        gi.require_version("Aravis", "0.8")
        from gi.repository import Aravis
    except (ImportError, ValueError) as error:
        raise CameraSettingsError(
            f"An aravis: camera needs its libraries; {INSTALL} ({error})."
        ) from error
    return Aravis

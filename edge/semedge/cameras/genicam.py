"""Cameras of any vendor through its GenTL producer: `genicam:PRODUCER.cti#SERIAL`."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from semedge.cameras.device import Device, DeviceCamera, DeviceCapture
from semedge.cameras.genicam_features import apply_settings
from semedge.cameras.live import CameraSettingsError, Capture, CaptureLostError, Shot
from semedge.cameras.pixel_formats import decoded
from semedge.cameras.settings import CameraSettings
from semedge.core.errors import SemedgeError
from semedge.core.optional import import_extra

if TYPE_CHECKING:
    from harvesters.core import DeviceInfo, Harvester, ImageAcquirer

PREFIX = "genicam:"
PRODUCER_PATH = "GENICAM_GENTL64_PATH"
"""Variable with the folders of the producers, which their installers set."""

LOOK_MS = 1_000
"""Longest wait for a list of cameras."""


def list_devices(producers: Sequence[Path] = ()) -> list[Device]:
    """Cameras that the given producers see, and those of `GENICAM_GENTL64_PATH`."""
    load_library()
    devices = []
    known = list(dict.fromkeys([*producers, *find_producers()]))
    if not known:
        raise SemedgeError(
            f"There is no GenTL producer (.cti) in the folders of {PRODUCER_PATH}; install the "
            "camera vendor's, or name its file."
        )
    for producer in known:
        with contextlib.closing(_Producer(producer)) as loaded:
            devices += [
                Device(
                    f"{PREFIX}{producer}#{info.serial_number}",
                    info.vendor,
                    info.model,
                    info.serial_number,
                )
                for info in loaded.find()
            ]
    return devices


def find_producers() -> list[Path]:
    """The producers (`*.cti`) in the folders of `GENICAM_GENTL64_PATH`."""
    folders = [Path(each) for each in os.environ.get(PRODUCER_PATH, "").split(os.pathsep) if each]
    return sorted(path for folder in folders for path in folder.glob("*.cti"))


class GenicamCamera(DeviceCamera):
    """The newest frame of a camera behind a GenTL producer.

    `PRODUCER.cti` is a path, or the name of a file in a folder of `GENICAM_GENTL64_PATH`; without
    `#SERIAL`, the producer's only camera is used.
    """

    def __init__(self, source: str, settings: CameraSettings, *, timeout_s: float) -> None:
        producer, _, self._serial = source.removeprefix(PREFIX).partition("#")
        load_library()
        self._producer = _path_of(producer)
        super().__init__(source, settings, timeout_s=timeout_s)

    def connect(self) -> Capture:
        """Connect through the producer."""
        return GenicamCapture(self._producer, self._serial, self._settings, self.source)


class GenicamCapture(DeviceCapture):
    """A connection through harvesters."""

    def __init__(self, producer: Path, serial: str, settings: CameraSettings, source: str) -> None:
        self._producer = _Producer(producer)
        try:
            self.device = self._producer.connect(serial, source)
        except BaseException:
            self._producer.close()
            raise
        try:
            features = HarvestersFeatures(self.device.remote_device.node_map)
            super().__init__(settings, features)
            apply_settings(settings, features, source)
            self.device.start()
        except BaseException:
            self.close()
            raise

    def fetch(self, timeout_s: float) -> Shot | None:
        """The next buffer, copied, so that the producer can reuse its memory."""
        buffer = self.device.try_fetch(timeout=timeout_s)
        if buffer is None:
            return None
        try:
            return self._shot(buffer)
        finally:
            buffer.queue()

    def check_link(self) -> None:
        """Read the width from the camera, not from the library's cache."""
        nodes = self.device.remote_device.node_map
        try:
            nodes.Width.get_value(verify=False, ignore_cache=True)
        except Exception as error:
            raise CaptureLostError(str(error)) from error

    def close(self) -> None:
        """Release the camera, and the producer where no other camera uses it."""
        try:
            self.device.stop()
            self.device.destroy()
        finally:
            self._producer.close()

    def _shot(self, buffer: Any) -> Shot:
        number, time_ns = buffer.frame_id, self._time_ns(buffer)
        if not buffer.is_complete() or not buffer.payload.components:
            return Shot(None, number, time_ns)
        part = buffer.payload.components[0]
        shape = (part.height, part.width)
        image, colours = decoded(part.data, part.data_format, shape, part.x_padding)
        return Shot(image, number, time_ns, colours)

    def _time_ns(self, buffer: Any) -> int | None:
        """The camera's time; None where the producer does not report it and the ticks' length."""
        try:
            ticks_hz = self.device.device.timestamp_frequency
            return int(buffer.timestamp * 10**9 // ticks_hz) if buffer.timestamp else None
        except Exception:
            return None


class HarvestersFeatures:
    """The features of a camera, through the reference implementation of GenApi."""

    def __init__(self, nodes: Any) -> None:
        self._nodes = nodes

    def is_writable(self, name: str) -> bool:
        """Whether the camera has the feature, and it can be set now."""
        from genicam.genapi import EAccessMode

        if not self._nodes.has_node(name):
            return False
        return self._nodes.get_node(name).get_access_mode() in (EAccessMode.WO, EAccessMode.RW)

    def bounds(self, name: str) -> tuple[float, float, float]:
        """Smallest and largest value, and the step of an integer."""
        node = self._nodes.get_node(name)
        return node.min, node.max, _step(node)

    def choices(self, name: str) -> Sequence[str]:
        """Values that an enumeration can take now."""
        symbols: Sequence[str] = self._nodes.get_node(name).symbolics
        return symbols

    def set_number(self, name: str, value: float) -> None:
        """Set an integer or a float."""
        node = self._nodes.get_node(name)
        node.value = round(value) if _step(node) else value

    def set_choice(self, name: str, value: str) -> None:
        """Set an enumeration."""
        self._nodes.get_node(name).value = value

    def set_flag(self, name: str, value: bool) -> None:
        """Set a boolean."""
        self._nodes.get_node(name).value = value

    def set_text(self, name: str, value: str) -> None:
        """Set a feature of any kind from text."""
        self._nodes.get_node(name).from_string(value)

    def execute(self, name: str) -> None:
        """Execute a command of the camera."""
        self._nodes.get_node(name).execute()


def _step(node: Any) -> float:
    """The step of an integer; 0 for a float."""
    from genicam.genapi import IInteger

    return node.inc if isinstance(node, IInteger) else 0


class _Producer:
    """A loaded producer, shared by the cameras of this process: loaded twice, it sees none."""

    _lock = threading.RLock()
    _loaded: ClassVar[dict[Path, tuple[Harvester, int]]] = {}

    def __init__(self, path: Path) -> None:
        from harvesters.core import Harvester

        self._path = path.resolve()
        self._is_open = True
        with self._lock:
            harvester, users = self._loaded.get(self._path, (None, 0))
            if harvester is None:
                harvester = Harvester()
                try:
                    harvester.add_file(str(path), check_existence=True, check_validity=True)
                except OSError as error:
                    raise CameraSettingsError(
                        f"{path} cannot be loaded as a GenTL producer ({error}); give the .cti "
                        "file of the camera's vendor."
                    ) from error
            self._harvester = harvester
            self._loaded[self._path] = harvester, users + 1

    def find(self) -> list[DeviceInfo]:
        """The cameras that the producer sees now."""
        with self._lock:
            if self._loaded[self._path][1] == 1:
                self._harvester.update()
            else:
                self._refresh()
            return list(self._harvester.device_info_list)

    def connect(self, serial: str, source: str) -> ImageAcquirer:
        """Open the camera with this serial number, or the only one."""
        with self._lock:
            found = [info.serial_number for info in self.find()]
            if serial not in found and (serial or len(found) != 1):
                raise SemedgeError(f"{self._path.name} sees {', '.join(found) or 'no camera'}")
            return self._harvester.create({"serial_number": serial or found[0]})

    def close(self) -> None:
        """Unload the producer with its last user."""
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
            harvester, users = self._loaded.pop(self._path)
            if users > 1:
                self._loaded[self._path] = harvester, users - 1
            else:
                harvester.reset()

    def _refresh(self) -> None:
        """Search again; `Harvester.update` would disconnect the cameras that are open."""
        from harvesters.core import DeviceInfo

        devices = self._harvester.device_info_list
        interfaces = {id(info.parent): info.parent for info in devices}.values()
        for interface in interfaces:
            interface.update_device_info_list(LOOK_MS)
        devices[:] = [
            DeviceInfo(module=info, parent=interface)
            for interface in interfaces
            for info in interface.device_info_list
        ]


def _path_of(producer: str) -> Path:
    path = Path(producer).expanduser()
    if path.is_file():
        return path
    for each in find_producers():
        if each.name == producer:
            return each
    raise CameraSettingsError(
        f"There is no GenTL producer {producer or 'without a name'}, here or in the folders of "
        f"{PRODUCER_PATH}; give the path of the vendor's .cti file."
    )


def load_library() -> None:
    """Import what is needed; the message of a `SemedgeError` names what to install."""
    for module in ("genicam", "harvesters.core"):
        import_extra(module, "genicam", "A genicam: camera")
    # It raises whatever it logs, and that becomes one sentence.
    logging.getLogger("harvesters.core").setLevel(logging.CRITICAL)

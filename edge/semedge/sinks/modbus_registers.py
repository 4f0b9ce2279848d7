"""The registers of a station, as `docs/reference/interfaces.md` lists them, and their values."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from semedge.core.event import KINDS, Event
from semedge.state.document import camera_verdict, station_verdict
from semedge.state.snapshot import CameraState, StationSnapshot

RegisterType = Literal["uint16", "uint32", "float32"]
WordOrder = Literal["big", "little"]

WORDS: Mapping[RegisterType, int] = {"uint16": 1, "uint32": 2, "float32": 2}
FORMATS: Mapping[RegisterType, str] = {"uint16": ">H", "uint32": ">I", "float32": ">f"}
LARGEST: Mapping[RegisterType, int] = {"uint16": 0xFFFF, "uint32": 0xFFFFFFFF}

VERDICTS = ("not inspecting", "good", "warn", "alarm")
ACTIVITIES = ("starting", "inspecting", "not inspecting", "stopped")
PHASES = ("", "start", "update", "end")
LEVELS = (None, "warn", "alarm")
ANSWERS = ("none", "done", "refused", "at work")
REQUESTS = ("", "levels", "recipe", "acknowledge")

CAMERAS_FROM = 100
CAMERA_EVERY = 100
MOST_CAMERAS = 8
REGISTERS = CAMERAS_FROM + MOST_CAMERAS * CAMERA_EVERY


@dataclass(frozen=True)
class Register:
    """One value: its address, its type and its meaning."""

    address: int
    name: str
    type: RegisterType
    meaning: str

    @property
    def words(self) -> int:
        """Number of its registers of 16 bits."""
        return WORDS[self.type]

    @property
    def addresses(self) -> range:
        """Addresses of these registers."""
        return range(self.address, self.address + self.words)


def _codes(names: Sequence[object]) -> str:
    return ", ".join(f"{code} {name or 'none'}" for code, name in enumerate(names))


STATION = (
    Register(0, "heartbeat", "uint16", "rises each second while the station runs"),
    Register(1, "verdict", "uint16", f"the worst of the cameras: {_codes(VERDICTS)}"),
    Register(2, "armed", "uint16", "1 where every camera is qualified, if it must be"),
    Register(3, "cameras", "uint16", "number of cameras"),
    Register(4, "pending", "uint16", "events that are pending for this sink"),
    Register(5, "answer", "uint16", f"to the last request: {_codes(ANSWERS)}"),
    Register(20, "event_number", "uint32", "the newest event; write it to `event_taken`"),
    Register(22, "event_kind", "uint16", _codes(("", *KINDS))),
    Register(23, "event_phase", "uint16", _codes(PHASES)),
    Register(24, "event_level", "uint16", _codes(LEVELS)),
    Register(25, "event_camera", "uint16", "from 1; 0 for the whole station"),
    Register(26, "event_score", "float32", "the frame's score; NaN where there is none"),
    Register(28, "event_x", "uint16", "px, the centre of the worst patch"),
    Register(29, "event_y", "uint16", "px"),
    Register(30, "event_duration", "float32", "s, since the event's start"),
    Register(32, "event_frames", "uint32", "frames above the level since the start"),
)
SETTINGS = (
    Register(60, "event_taken", "uint32", "the number of the event that the PLC has read"),
    Register(62, "camera", "uint16", "the camera to change, from 1"),
    Register(63, "recipe", "uint16", "its place in the list of recipes by name, from 1"),
    Register(64, "alarm_level", "float32", "the new alarm level"),
    Register(66, "warn_level", "float32", "the new warn level; NaN for none"),
    Register(68, "request", "uint16", f"write it last: {_codes(REQUESTS)}; then see `answer`"),
)
CAMERA = (
    Register(0, "verdict", "uint16", _codes(VERDICTS)),
    Register(1, "activity", "uint16", _codes(ACTIVITIES)),
    Register(2, "score", "float32", "of the last frame; NaN before the first"),
    Register(4, "alarm_level", "float32", "the active level; NaN where there is none"),
    Register(6, "warn_level", "float32", "the active level; NaN where there is none"),
    Register(8, "frames_inspected", "uint32", "since the start"),
    Register(10, "frames_lost", "uint32", "skipped for newer ones, since the start"),
    Register(12, "alerts", "uint32", "defects that reached the alarm level, since the start"),
    Register(14, "frame_rate", "float32", "Hz, frames inspected"),
    Register(16, "alarms_seen", "uint16", "frames above the alarm level in the last hour"),
    Register(17, "recipe", "uint16", "in the list of recipes by name, from 1; 0 for none"),
    Register(18, "alarms_expected", "float32", "false alarms an hour allowed; NaN where unknown"),
)
"""Addresses start at 100 for the first camera, at 200 for the second, and so on."""


class Image:
    """The content of the registers.

    Parameters
    ----------
    word_order
        Whether the more significant word of a value of 32 bits comes first (`big`) or last.
    byte_order
        The same of the bytes of each of its words; values of 16 bits stay as Modbus has them.
    """

    def __init__(self, word_order: WordOrder = "big", byte_order: WordOrder = "big") -> None:
        self.words = [0] * REGISTERS
        self._big = word_order == "big"
        self._swaps_bytes = byte_order == "little"

    def put(
        self, registers: Iterable[Register], values: Mapping[str, float], base: int = 0
    ) -> None:
        """Set registers by name; a number that is too large becomes the largest."""
        for register in registers:
            if register.name in values:
                self._put(register, base, values[register.name])

    def get(self, register: Register) -> float:
        """The value of a register."""
        words = self.words[register.address : register.address + register.words]
        content = struct.pack(f">{len(words)}H", *self._ordered(words))
        value: float = struct.unpack(FORMATS[register.type], content)[0]
        return value

    def _put(self, register: Register, base: int, value: float) -> None:
        largest = LARGEST.get(register.type)
        fitting = float(value) if largest is None else max(0, min(int(value), largest))
        content = struct.pack(FORMATS[register.type], fitting)
        words = struct.unpack(f">{register.words}H", content)
        address = base + register.address
        self.words[address : address + register.words] = self._ordered(words)

    def _ordered(self, words: Sequence[int]) -> list[int]:
        """The words of a value in the order of the registers, or back."""
        if len(words) == 1:
            return [*words]
        ordered = [*words] if self._big else [*reversed(words)]
        if self._swaps_bytes:
            ordered = [(word & 0xFF) << 8 | word >> 8 for word in ordered]
        return ordered


def station_values(snapshot: StationSnapshot, sink: str) -> dict[str, float]:
    """Values of the registers of the station."""
    return {
        "heartbeat": int(snapshot.uptime_s) & 0xFFFF,
        "verdict": VERDICTS.index(station_verdict(snapshot)),
        "armed": snapshot.qualified,
        "cameras": len(snapshot.cameras),
        "pending": snapshot.pending.get(sink, 0),
    }


def camera_values(camera: CameraState, recipes: Sequence[str]) -> dict[str, float]:
    """Values of the registers of a camera."""
    nan = float("nan")
    levels = None if camera.active_setup is None else camera.active_setup.levels
    recipe = None if camera.active_setup is None else camera.active_setup.recipe
    expected = camera.alarms.expected_per_hour
    return {
        "verdict": VERDICTS.index(camera_verdict(camera)),
        "activity": ACTIVITIES.index(camera.activity),
        "score": nan if camera.last is None else camera.last.score_map.frame_score,
        "alarm_level": nan if levels is None else levels.alarm,
        "warn_level": nan if levels is None or levels.warn is None else levels.warn,
        "frames_inspected": camera.counters.frames_inspected,
        "frames_lost": camera.counters.frames_lost,
        "alerts": camera.counters.alerts,
        "frame_rate": camera.frame_rate_hz,
        "alarms_seen": camera.alarms.seen_last_hour,
        "alarms_expected": nan if expected is None else expected,
        "recipe": recipes.index(recipe) + 1 if recipe in recipes else 0,
    }


def event_values(event: Event, cameras: Sequence[str]) -> dict[str, float]:
    """Values of the registers of the newest event."""
    x, y = event.peak_px or (0, 0)
    return {
        "event_kind": KINDS.index(event.kind) + 1,
        "event_phase": PHASES.index(event.phase),
        "event_level": LEVELS.index(event.level),
        "event_camera": cameras.index(event.camera) + 1 if event.camera in cameras else 0,
        "event_score": float("nan") if event.frame_score is None else event.frame_score,
        "event_x": x,
        "event_y": y,
        "event_duration": event.duration_s,
        "event_frames": event.frames,
        "event_number": event.number,
    }

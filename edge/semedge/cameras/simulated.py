"""The simulated camera `sim:SEED`, with settings after a question mark."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from semedge.cameras.base import Camera
from semedge.cameras.simulation import SimulatedLine
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame

LOWEST_RATE_HZ = 1e-3
HIGHEST_RATE_HZ = 1e3


@dataclass(frozen=True)
class SimulationSettings:
    """Settings in `sim:SEED?defects=0.1&rate=5&size=1024x700&frames=100&first=0`.

    Attributes
    ----------
    seed
        Seed of the simulated line.
    defects
        Share of the frames with a defect.
    rate
        Frames a second; 0 for as fast as they are read.
    size
        Width and height in pixels.
    frames
        Frames until the end; 0 for no end.
    first
        Number of the first frame.
    """

    seed: int
    defects: float = 0.0
    rate: float = 0.0
    size: tuple[int, int] = (512, 384)
    frames: int = 0
    first: int = 0


def parse_simulation(source: str) -> SimulationSettings:
    """Settings of a `sim:` source; `SemedgeError` where they cannot be read."""
    seed_text, _, query = source.removeprefix("sim:").partition("?")
    parsers: dict[str, Callable[[str], Any]] = {
        "defects": _share,
        "rate": _rate,
        "size": _size,
        "frames": int,
        "first": int,
    }
    values: dict[str, Any] = {}
    try:
        seed = int(seed_text)
        for name, text in parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)):
            values[name] = parsers[name](text)
        if seed < 0 or any(
            isinstance(value, int | float) and value < 0 for value in values.values()
        ):
            raise ValueError("negative")
    except (KeyError, ValueError) as error:
        raise SemedgeError(
            f"A simulated camera reads sim:SEED?defects=0.1&rate=5&size=512x384&frames=100&first=0 "
            f"(all but the seed optional, none negative, rate 0 or {LOWEST_RATE_HZ:g} to "
            f"{HIGHEST_RATE_HZ:g}). Received: {source}"
        ) from error
    return SimulationSettings(seed, **values)


class SimulatedCamera(Camera):
    """Frames of a `SimulatedLine`, paced where a rate is given."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.settings = parse_simulation(source)
        width, height = self.settings.size
        self._line = SimulatedLine(
            self.settings.seed, shape=(height, width), defect_rate=self.settings.defects
        )
        self._sequence = self.settings.first
        self._started_s = time.monotonic()

    @property
    def ends(self) -> bool:
        """Whether a number of frames was given."""
        return self.settings.frames > 0

    @property
    def timed(self) -> bool:
        """Whether a rate was given."""
        return self.settings.rate > 0

    def read(self) -> Frame:
        """The next frame, when it is due."""
        settings = self.settings
        done = self._sequence - settings.first
        if settings.frames and done >= settings.frames:
            raise StopIteration
        if settings.rate:
            due_s = self._started_s + done / settings.rate
            if self._closed.wait(max(0.0, due_s - time.monotonic())):
                raise StopIteration
        image = self._line.frame(self._sequence).image
        self._sequence += 1
        return Frame(image, self._sequence - 1, time.time(), f"{self.source}#{self._sequence - 1}")


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError(text)
    return share


def _rate(text: str) -> float:
    rate_hz = float(text)
    if rate_hz != 0 and not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise ValueError(text)
    return rate_hz


def _size(text: str) -> tuple[int, int]:
    width, height = (int(side) for side in text.lower().split("x"))
    if not (32 <= width <= 16384 and 32 <= height <= 16384):
        raise ValueError(text)
    return width, height

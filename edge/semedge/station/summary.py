"""The summary of a watch, as counters and as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from semedge.journal.records import Counters


@dataclass(frozen=True)
class WatchSummary:
    """The summary of a watch.

    Attributes
    ----------
    cameras
        Counters of frames and alerts, by camera.
    elapsed_s
        Duration of the watch.
    latency_ms
        By camera, median and 95 % quantile of the time from a frame's arrival to the end of its
        recording, over its last frames; None where there were none.
    """

    cameras: Mapping[str, Counters]
    elapsed_s: float
    latency_ms: Mapping[str, tuple[float, float] | None]

    @property
    def counters(self) -> Counters:
        """Counters of all cameras together."""
        return Counters(
            **{
                field.name: sum(getattr(each, field.name) for each in self.cameras.values())
                for field in fields(Counters)
            }
        )

    def sentences(self) -> list[str]:
        """The summary for people, a sentence for each camera."""
        return [self._sentence(name) for name in self.cameras]

    def _sentence(self, name: str) -> str:
        counters, latency_ms = self.cameras[name], self.latency_ms[name]
        rate_hz = counters.frames_inspected / max(self.elapsed_s, 1e-9)
        text = (
            f"{counters.frames_seen:,} frames seen, {counters.frames_inspected:,} inspected, "
            f"{counters.frames_skipped:,} skipped, {counters.frames_lost:,} lost; "
            f"{counters.alerts:,} alert{'' if counters.alerts == 1 else 's'}; "
            f"{rate_hz:.1f} frames/s"
        )
        if latency_ms is not None:
            text += f"; latency {latency_ms[0]:.0f} ms, p95 {latency_ms[1]:.0f} ms"
        return f"{text}." if len(self.cameras) == 1 else f"{name}: {text}."

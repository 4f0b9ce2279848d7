"""The station's figures for Prometheus."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from semedge.core.optional import import_extra
from semedge.state.snapshot import CameraState, StationSnapshot
from semedge.state.state import StationState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
QUANTILES = (0.5, 0.95, 1.0)


class Metrics:
    """Renders the state on request; nothing is counted separately.

    Parameters
    ----------
    state
        The state to render.
    totals
        Functions that return further totals, by name.
    """

    def __init__(
        self, state: StationState, totals: Mapping[str, Callable[[], int]] | None = None
    ) -> None:
        self._state = state
        self._totals = totals or {}
        self._client = import_extra("prometheus_client", "web", "The live page")
        self._core = import_extra("prometheus_client.core", "web", "The live page")
        self._registry = self._client.CollectorRegistry()
        self._registry.register(self)
        self._client.ProcessCollector(registry=self._registry)

    def render(self) -> bytes:
        """The figures in Prometheus's text format."""
        text: bytes = self._client.generate_latest(self._registry)
        return text

    def describe(self) -> list[Any]:
        """No metrics: the registry needs none before it collects."""
        return []

    def collect(self) -> Iterator[Any]:
        """The figures of this moment."""
        snapshot = self._state.snapshot()
        yield self._gauge("uptime_seconds", "Time since the start.", [], [([], snapshot.uptime_s)])
        yield self._gauge(
            "armed",
            "1 where every camera is qualified, if it must be.",
            [],
            [([], snapshot.qualified)],
        )
        yield self._gauge(
            "part_failed",
            "1 for each part of the station that fails.",
            ["part"],
            [([part], 1) for part in snapshot.faults],
        )
        for name, total in self._totals.items():
            metric = self._core.CounterMetricFamily(
                f"semedge_{name}", name.replace("_", " ").capitalize() + " since the start."
            )
            metric.add_metric([], total())
            yield metric
        yield from self._of_cameras(snapshot)
        yield from self._of_deliveries(snapshot)
        yield from self._of_disk(snapshot)

    def _of_cameras(self, snapshot: StationSnapshot) -> Iterator[Any]:
        cameras = snapshot.cameras.items()
        outcomes = ("seen", "inspected", "skipped", "lost")
        yield self._counter(
            "frames",
            "Frames by their outcome; seen is the sum of the others.",
            ["camera", "outcome"],
            [
                ([name, outcome], getattr(camera.counters, f"frames_{outcome}"))
                for name, camera in cameras
                for outcome in outcomes
            ],
        )
        yield self._counter(
            "frames_above",
            "Frames whose level was a warning, and an alarm.",
            ["camera", "level"],
            [
                ([name, level], getattr(camera.counters, f"frames_{level}ed"))
                for name, camera in cameras
                for level in ("warn", "alarm")
            ],
        )
        yield self._counter(
            "alerts",
            "Defects that reached the alarm level.",
            ["camera"],
            [([name], camera.counters.alerts) for name, camera in cameras],
        )
        for name, help_text, value_of in CAMERA_GAUGES:
            yield self._gauge(
                name,
                help_text,
                ["camera"],
                [([each], value_of(camera)) for each, camera in cameras],
            )
        yield self._gauge(
            "level",
            "Scores above which a frame warns and alarms; NaN where there is none.",
            ["camera", "level"],
            [
                ([name, level], _level(camera, level))
                for name, camera in cameras
                for level in ("warn", "alarm")
            ],
        )
        yield self._gauge(
            "score_quantile",
            "Quantiles of the scores of the last frames.",
            ["camera", "quantile"],
            [
                ([name, f"{share:g}"], value)
                for name, camera in cameras
                for share, value in zip(QUANTILES, _score_quantiles(camera), strict=True)
            ],
        )
        yield self._gauge(
            "latency_seconds",
            "Time of each stage, median and 95 % quantile over the last frames.",
            ["camera", "stage", "quantile"],
            [
                ([name, stage, share], spent_ms / 1e3)
                for name, camera in cameras
                for stage, both_ms in camera.latency_ms.items()
                for share, spent_ms in zip(("0.5", "0.95"), both_ms, strict=True)
            ],
        )

    def _of_deliveries(self, snapshot: StationSnapshot) -> Iterator[Any]:
        yield self._counter(
            "deliveries",
            "Events that a sink accepted, and that it rejected for good.",
            ["sink", "outcome"],
            [
                ([sink.name, outcome], getattr(sink, outcome))
                for sink in snapshot.sinks
                for outcome in ("delivered", "rejected")
            ],
        )
        yield self._gauge(
            "deliveries_pending",
            "Pending events of a sink.",
            ["sink"],
            [([sink.name], snapshot.pending.get(sink.name, 0)) for sink in snapshot.sinks],
        )
        yield self._gauge(
            "delivery_failures",
            "Failed attempts since a sink last accepted an event.",
            ["sink"],
            [([sink.name], sink.failures) for sink in snapshot.sinks],
        )

    def _of_disk(self, snapshot: StationSnapshot) -> Iterator[Any]:
        disk = snapshot.disk
        free = math.nan if disk.free_bytes is None else disk.free_bytes
        yield self._gauge("disk_free_bytes", "Free space on the journal's disk.", [], [([], free)])
        yield self._gauge(
            "disk_left_out",
            "1 where this is not stored for lack of space.",
            ["what"],
            [(["pictures"], disk.pictures_stopped), (["scores"], disk.scores_stopped)],
        )

    def _gauge(self, name: str, text: str, labels: list[str], rows: list[Any]) -> Any:
        return _filled(self._core.GaugeMetricFamily(f"semedge_{name}", text, labels=labels), rows)

    def _counter(self, name: str, text: str, labels: list[str], rows: list[Any]) -> Any:
        return _filled(self._core.CounterMetricFamily(f"semedge_{name}", text, labels=labels), rows)


def _filled(family: Any, rows: list[tuple[list[str], float]]) -> Any:
    for labels, value in rows:
        family.add_metric(labels, float(value))
    return family


def _level(camera: CameraState, level: str) -> float:
    value = None if camera.active_setup is None else getattr(camera.active_setup.levels, level)
    return math.nan if value is None else float(value)


def _score_quantiles(camera: CameraState) -> list[float]:
    scores = [point.score for point in camera.scores]
    if not scores:
        return [math.nan] * len(QUANTILES)
    return [float(each) for each in np.quantile(scores, QUANTILES)]


CAMERA_GAUGES = (
    (
        "inspecting",
        "1 where the camera inspects.",
        lambda camera: camera.activity == "inspecting",
    ),
    (
        "score",
        "Score of the last frame.",
        lambda camera: math.nan if camera.last is None else camera.last.score_map.frame_score,
    ),
    (
        "frame_rate_hertz",
        "Frames inspected a second.",
        lambda camera: camera.frame_rate_hz,
    ),
    (
        "alarms_seen_last_hour",
        "Frames above the alarm level in the last hour.",
        lambda camera: camera.alarms.seen_last_hour,
    ),
    (
        "alarms_expected_per_hour",
        "False alarms an hour that the calibration allows; NaN where it guarantees nothing.",
        lambda camera: (
            math.nan if camera.alarms.expected_per_hour is None else camera.alarms.expected_per_hour
        ),
    ),
)

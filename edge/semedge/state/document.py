"""The station's state as a JSON document, for MQTT, the page and other clients."""

from __future__ import annotations

import math
from typing import Any

from semedge.core.mark import frame_id_of
from semedge.core.timing import utc_text
from semedge.state.snapshot import CameraState, StationSnapshot


def state_document(snapshot: StationSnapshot) -> dict[str, Any]:
    """The document that `docs/reference/interfaces.md` describes; NaN and infinity are null."""
    return {
        "station": snapshot.name,
        "verdict": station_verdict(snapshot),
        "armed": snapshot.qualified,
        "started_at": utc_text(snapshot.started_at_s),
        "uptime_s": round(snapshot.uptime_s, 1),
        "cameras": {name: _camera(camera) for name, camera in snapshot.cameras.items()},
        "sinks": {
            sink.name: {
                "pending": snapshot.pending.get(sink.name, 0),
                "delivered": sink.delivered,
                "rejected": sink.rejected,
                "failures": sink.failures,
                "last_error": sink.last_error,
            }
            for sink in snapshot.sinks
        },
        "disk": {
            "free_bytes": snapshot.disk.free_bytes,
            "pictures_stopped": snapshot.disk.pictures_stopped,
            "scores_stopped": snapshot.disk.scores_stopped,
        },
        "faults": dict(snapshot.faults),
    }


def camera_verdict(camera: CameraState) -> str:
    """One word for a camera: `good`, `warn`, `alarm`, or `not inspecting`."""
    if camera.activity != "inspecting" or camera.last is None:
        return "not inspecting"
    if camera.active_setup is not None and camera.active_setup.is_out_of_reach:
        return "not inspecting"
    return camera.last.level or "good"


def station_verdict(snapshot: StationSnapshot) -> str:
    """The worst of the cameras' verdicts, an alarm before a camera that does not inspect.

    A station that is not qualified is not inspecting.
    """
    if not snapshot.qualified:
        return "not inspecting"
    verdicts = {camera_verdict(camera) for camera in snapshot.cameras.values()}
    for verdict in ("alarm", "not inspecting", "warn"):
        if verdict in verdicts:
            return verdict
    return "good" if verdicts else "not inspecting"


def _camera(camera: CameraState) -> dict[str, Any]:
    last, active, counters = camera.last, camera.active_setup, camera.counters
    return {
        "verdict": camera_verdict(camera),
        "activity": camera.activity,
        "reason": _reason(camera),
        "since": utc_text(camera.since_s),
        "source": camera.source,
        "score": None if last is None else finite(last.score_map.frame_score),
        "sequence": None if last is None else last.frame.sequence,
        "captured_at": None if last is None else utc_text(last.frame.captured_at_s),
        "frame_id": None if last is None else frame_id_of(camera.name, last.frame),
        "alarm_level": None if active is None else active.levels.alarm,
        "warn_level": None if active is None else active.levels.warn,
        "threshold": None if active is None else active.threshold,
        "guarantee": None if active is None else active.guarantee,
        "regions_drawn": active is not None and active.is_drawn,
        "recipe": None if active is None else active.recipe,
        "recipe_version": None if active is None else active.recipe_version,
        "detector": None if active is None else active.detector,
        "detector_sha256": None if active is None else active.detector_sha256,
        "frames_seen": counters.frames_seen,
        "frames_inspected": counters.frames_inspected,
        "frames_skipped": counters.frames_skipped,
        "frames_lost": counters.frames_lost,
        "alerts": counters.alerts,
        "frame_rate_hz": round(camera.frame_rate_hz, 2),
        "latency_ms": {
            stage: {"median": round(median, 2), "p95": round(high, 2)}
            for stage, (median, high) in camera.latency_ms.items()
        },
        "alarms_expected_per_hour": camera.alarms.expected_per_hour,
        "alarms_seen_last_hour": camera.alarms.seen_last_hour,
        "frames_last_hour": camera.alarms.frames_last_hour,
    }


def _reason(camera: CameraState) -> str:
    setup = camera.active_setup
    if not camera.reason and setup is not None and setup.is_out_of_reach:
        return (
            f"The alarm level {setup.levels.alarm:.4g} is so far above the threshold "
            f"{setup.threshold:.4g} that hardly any defect can reach it."
        )
    return camera.reason


def finite(value: float) -> float | None:
    """The value, or None where it is NaN or infinite, which JSON has no number for."""
    return float(value) if math.isfinite(value) else None

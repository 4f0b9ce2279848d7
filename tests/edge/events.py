"""Events for tests."""

from __future__ import annotations

from semedge.core.event import Event, Region

EVENT = Event(
    event_id="0" * 32,
    kind="defect",
    phase="start",
    code="score",
    message="A frame scores 3.5, above 2.",
    station="line 4",
    camera="left",
    started_at_s=1_700_000_000.5,
    raised_at_s=1_700_000_000.75,
    duration_s=0.25,
    level="alarm",
    sequence=7,
    source="line/frame7.png",
    captured_at_s=1_700_000_000.25,
    frame_score=3.5,
    threshold=2.0,
    peak_px=(40, 24),
    frames=1,
    regions=(Region(32, 16, 16, 16, 256, (40, 24), 3.5),),
    frame_picture="/pictures/frame.png",
    detector_sha256="ab" * 32,
    calibration_sha256="cd" * 32,
    details={"place": "left"},
)

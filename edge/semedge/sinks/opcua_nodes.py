"""The nodes of a station's OPC UA server, as `docs/wiring.md` lists them.

Names are those of OPC 40100-1 (machine vision) where it has one. The server is not a certified
instance of that specification: it loads none of its types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from semedge.core.event import Event
from semedge.core.mark import frame_id_of
from semedge.core.timing import utc_text
from semedge.sinks.opcua_tree import Argument, Method
from semedge.state.document import camera_verdict, station_verdict
from semedge.state.snapshot import CameraState, StationSnapshot

NAMESPACE = "urn:semedge:station"

NodeType = Literal["String", "String[]", "Boolean", "Double", "UInt32", "Int32"]

VISION_STATES = {
    "starting": "Preoperational",
    "inspecting": "Operational",
    "not inspecting": "Error",
    "stopped": "Halted",
}
SEVERITY = {"alarm": 800, "warn": 500, None: 300}


@dataclass(frozen=True)
class NodeRow:
    """A variable: its path below its object, its type, its meaning."""

    path: str
    type: NodeType
    meaning: str


STATION_NODES = (
    NodeRow("Verdict", "String", "the worst of the cameras: good, warn, alarm, not inspecting"),
    NodeRow("Heartbeat", "UInt32", "rises each second while the station runs"),
    NodeRow("Armed", "Boolean", "whether every camera is qualified, if it must be"),
    NodeRow("Pending", "UInt32", "events that are pending for this sink"),
    NodeRow("LatestEvent/Number", "UInt32", "the newest event's place in the journal"),
    NodeRow("LatestEvent/EventId", "String", "the same from the event's start to its end"),
    NodeRow("LatestEvent/Kind", "String", "defect, health, drift, check, recipe or test"),
    NodeRow("LatestEvent/Phase", "String", "start, update or end"),
    NodeRow("LatestEvent/Level", "String", "warn, alarm, or empty"),
    NodeRow("LatestEvent/Camera", "String", "the camera; empty for the whole station"),
    NodeRow("LatestEvent/Message", "String", "a sentence for people"),
    NodeRow("LatestEvent/Document", "String", "the whole event, JSON"),
)
CAMERA_NODES = (
    NodeRow(
        "VisionStateMachine/CurrentState", "String", "Preoperational, Operational, Error or Halted"
    ),
    NodeRow("VisionStateMachine/Reason", "String", "why it does not inspect"),
    NodeRow("RecipeManagement/ActiveRecipe/ExternalId", "String", "the recipe's name"),
    NodeRow("RecipeManagement/ActiveRecipe/InternalId", "String", "its digest (SHA-256)"),
    NodeRow("RecipeManagement/Recipes", "String[]", "names of the recipes to switch to"),
    NodeRow(
        "ConfigurationManagement/ActiveConfiguration/InternalId",
        "String",
        "digest of the calibration (SHA-256)",
    ),
    NodeRow(
        "ConfigurationManagement/AlarmLevel", "Double", "the active level; NaN where there is none"
    ),
    NodeRow(
        "ConfigurationManagement/WarnLevel", "Double", "the active level; NaN where there is none"
    ),
    NodeRow("ResultManagement/LatestResult/ResultId", "String", "the frame and its sequence"),
    NodeRow("ResultManagement/LatestResult/FrameId", "String", "the frame, for `MarkFrame`"),
    NodeRow("ResultManagement/LatestResult/ResultState", "Int32", "1 completed, 0 none yet"),
    NodeRow("ResultManagement/LatestResult/CreationTime", "String", "capture, ISO-8601, UTC"),
    NodeRow("ResultManagement/LatestResult/Verdict", "String", "good, warn, alarm, not inspecting"),
    NodeRow("ResultManagement/LatestResult/Score", "Double", "the frame's score"),
    NodeRow("ResultManagement/LatestResult/ProcessingTime", "Double", "ms, arrival to record"),
    NodeRow("FramesInspected", "UInt32", "since the start"),
    NodeRow("FramesLost", "UInt32", "skipped for newer ones, since the start"),
)
ANSWER = (
    Argument("Done", "Boolean", "whether it was carried out"),
    Argument("Message", "String", "a sentence for people"),
)
METHODS = (
    Method(
        "SetLevels",
        (
            Argument("Camera", "String"),
            Argument("AlarmLevel", "Double"),
            Argument("WarnLevel", "Double", "NaN for none"),
        ),
        ANSWER,
        "moves the levels; NaN for no warn level",
    ),
    Method(
        "PrepareRecipe",
        (Argument("Camera", "String"), Argument("ExternalId", "String", "the recipe's name")),
        ANSWER,
        "switches to a recipe",
    ),
    Method(
        "Acknowledge",
        (Argument("EventId", "String"),),
        ANSWER,
        "records that somebody has seen the event",
    ),
    Method(
        "MarkEvent",
        (
            Argument("EventId", "String"),
            Argument("Mark", "String", "real, false-alarm, or none to take the mark back"),
            Argument("Note", "String", "may be empty"),
        ),
        ANSWER,
        "marks an alert as real or as a false alarm",
    ),
    Method(
        "MarkFrame",
        (
            Argument("FrameId", "String", "as `LatestResult/FrameId` has it"),
            Argument("Mark", "String", "missed, or none to take the mark back"),
            Argument("Note", "String", "may be empty"),
        ),
        ANSWER,
        "marks one of the last frames as a defect that was missed",
    ),
    Method(
        "TakeEvent",
        (Argument("Number", "UInt32"),),
        (),
        "confirms an event, where `handshake = true`",
    ),
    Method(
        "EventsAfter",
        (Argument("Number", "UInt32"),),
        (Argument("Documents", "String[]", "JSON, the oldest first"),),
        "JSON documents of the newest events after that number",
    ),
)
"""Methods of the station; the first five return (Done, Message), if settings are accepted."""

EVENT_PROPERTIES = (
    ("Number", "UInt32"),
    ("Kind", "String"),
    ("Phase", "String"),
    ("Level", "String"),
    ("Camera", "String"),
    ("Document", "String"),
)
"""Properties of the type of events, beside those of every event."""


def station_values(snapshot: StationSnapshot, sink: str) -> dict[str, Any]:
    """Values of the nodes of the station, except those of the latest event."""
    return {
        "Verdict": station_verdict(snapshot),
        "Heartbeat": int(snapshot.uptime_s) & 0xFFFFFFFF,
        "Armed": snapshot.qualified,
        "Pending": snapshot.pending.get(sink, 0),
    }


def event_values(event: Event) -> dict[str, Any]:
    """Values of the nodes of the latest event."""
    return {
        "LatestEvent/Number": event.number,
        "LatestEvent/EventId": event.event_id,
        "LatestEvent/Kind": event.kind,
        "LatestEvent/Phase": event.phase,
        "LatestEvent/Level": event.level or "",
        "LatestEvent/Camera": event.camera,
        "LatestEvent/Message": event.message,
        "LatestEvent/Document": json.dumps(event.to_document(), allow_nan=False),
    }


def camera_values(camera: CameraState, recipes: Sequence[str]) -> Mapping[str, Any]:
    """Values of the nodes of a camera."""
    nan = float("nan")
    last, active = camera.last, camera.active_setup
    result = "ResultManagement/LatestResult"
    values: dict[str, Any] = {
        "VisionStateMachine/CurrentState": VISION_STATES[camera.activity],
        "VisionStateMachine/Reason": camera.reason,
        "RecipeManagement/Recipes": list(recipes),
        "FramesInspected": camera.counters.frames_inspected,
        "FramesLost": camera.counters.frames_lost,
        f"{result}/Verdict": camera_verdict(camera),
        f"{result}/ResultState": 0 if last is None else 1,
        f"{result}/ResultId": "" if last is None else f"{last.frame.source} {last.frame.sequence}",
        f"{result}/FrameId": "" if last is None else frame_id_of(camera.name, last.frame),
        f"{result}/CreationTime": "" if last is None else utc_text(last.frame.captured_at_s),
        f"{result}/Score": nan if last is None else last.score_map.frame_score,
        f"{result}/ProcessingTime": nan if last is None else last.latency_ms.get("total", nan),
    }
    if active is not None:
        warn = active.levels.warn
        values |= {
            "RecipeManagement/ActiveRecipe/ExternalId": active.recipe or "",
            "RecipeManagement/ActiveRecipe/InternalId": active.recipe_sha256 or "",
            "ConfigurationManagement/ActiveConfiguration/InternalId": active.calibration_sha256,
            "ConfigurationManagement/AlarmLevel": active.levels.alarm,
            "ConfigurationManagement/WarnLevel": nan if warn is None else warn,
        }
    return values

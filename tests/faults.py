"""The faults that a station must live through, each shown by the tests that are marked with it."""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """A fault, and the requirement for it; `docs/reliability.md` has a row for each."""

    def __init__(self, what: str, must_hold: str) -> None:
        self.what = what
        self.must_hold = must_hold

    CAMERA = (
        "camera killed, stalled, back after 60 s; slow consumer; frame size changes",
        "health event within the timeout, inspection resumes by itself, memory flat, newest frame "
        "always within 0.2 s",
    )
    RECEIVER = (
        "broker or webhook down for 1,000 alerts, killed with -9, back",
        "1,000 of 1,000 delivered, in order, duplicates at most one a crash",
    )
    KILL = (
        "`watch` killed with -9 fifty times at random moments",
        "no event lost that was printed, journal intact, restart under 2 s",
    )
    DISK = (
        "disk full (a small tmpfs)",
        "alarms still raised and delivered; no corrupt file; recovers",
    )
    DAMAGE = (
        "damaged bundle, calibration, recipe, journal, station file (10,000 mutations)",
        "one sentence, no traceback, no hang, no code run",
    )
    CLOCK = ("clock jumps; time zone change", "order and durations right")
    GROWTH = (
        "100,000 frames from the simulated camera",
        "resident memory within 5 % of its value after 1,000",
    )
    NEIGHBOUR = ("two cameras, one dying", "the other not a frame slower")
    PAGE = (
        "page: no token, wrong token, path traversal, huge body, 200 clients",
        "refused or served, inspection rate within 5 %",
    )
    RECIPE = (
        "a recipe switched by command while frames come, and a bad one",
        "no frame lost; the bad one refused, and the old one stays active",
    )
    WHOLE = (
        "none: GenICam camera, watch, mosquitto, webhook, OPC UA client, page in Chromium",
        "a defect is in all four within one second",
    )

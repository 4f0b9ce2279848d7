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
    LOSSY_STREAM = (
        "an RTSP stream of which one packet in twenty is lost",
        "no damaged frame is inspected where PyAV is installed; each counts as lost",
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
    SMALL_DISK = (
        "a disk of 6 MB that pictures fill; a clock that steps by a year at the start",
        "the oldest pictures make room for new ones, by size also after the step",
    )
    LONG_RUN = (
        "a journal of millions of scores and 100,000 pending events, after a kill",
        "ready within 3 s, no alert held up by more than 50 ms by housekeeping, a count within "
        "1 ms",
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
    FLOOD = (
        "page: 1,100 half-sent requests with 1,024 file descriptors; guesses of the token",
        "the page answers again within 15 s, descriptors stay free, the log stays small; guesses "
        "are throttled, counted and audited",
    )
    RETAINED = (
        "a request that the MQTT broker retains",
        "never carried out, at no connection; answered with a refusal",
    )
    DRIFT = (
        "none: healthy stations with few calibration frames, for a month",
        "at most one false drift event a year",
    )
    PART = (
        "any exception in a camera's, a sink's or the page's thread; a recipes folder that cannot "
        "be read",
        "seen at once (state, event, `/readyz` 503) and repeated; `good` only of judged frames",
    )
    RECIPE = (
        "a recipe switched by command while frames come, and a bad one",
        "no frame lost; the bad one refused, and the old one stays active",
    )
    BRICK = (
        "a recipe that passes `recipe check` and fails on the camera's frames, or kills the "
        "process; one without the required signature",
        "refused before it is used, or given up at its first fault; no restart takes it up again; "
        "the page says why",
    )
    GRAPH = (
        "a graph that ends the process that loads it; a recipe of 256 MB",
        "refused in one sentence by a child process; memory at most twice the file",
    )
    SOAK = (
        "four cameras, one dying; receivers that fail at random; viewers; a disk that fills",
        "memory, threads and descriptors flat, no event lost",
    )
    WHOLE = (
        "none: GenICam camera, watch, mosquitto, webhook, OPC UA client, page in Chromium",
        "a defect is in all four within one second",
    )

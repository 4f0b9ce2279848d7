"""Structured logs: one JSON document a line on stderr, whoever has something to say."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from types import TracebackType

from semedge.core.console import Level, say, structure_lines
from semedge.core.timing import utc_text


def write_json_lines() -> None:
    """Print JSON lines from now on: the station's own, the libraries' warnings, and faults.

    Each has `time` (ISO-8601, UTC), `level` (info, warning, error), `event` (a word that stays)
    and `message` (a sentence).
    """
    structure_lines(json_line)
    logging.captureWarnings(True)
    logging.basicConfig(level="WARNING", format="%(message)s", handlers=[_Bridge()], force=True)
    sys.excepthook = _say_fault
    threading.excepthook = lambda fault: _say_fault(
        fault.exc_type, fault.exc_value, fault.exc_traceback
    )


def json_line(message: str, level: Level, event: str) -> str:
    """One line of the log."""
    return json.dumps(
        {"time": utc_text(time.time()), "level": level, "event": event, "message": message}
    )


class _Bridge(logging.Handler):
    """Takes what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        say(self.format(record), level=level, event=f"library:{record.name}")


def _say_fault(
    kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> None:
    """A fault of the program itself, with its traceback."""
    if kind is None or issubclass(kind, KeyboardInterrupt):
        return
    import traceback

    say("".join(traceback.format_exception(kind, error, trace)), level="error", event="fault")

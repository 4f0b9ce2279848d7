"""What the command line's messages look like: the standard `logging`, with a handler on stderr.

Modules log to loggers named after themselves; a program that embeds semedge gets the records the
usual way. A record may carry `extra={"event": WORD}`: a word that a log's reader can look for,
which stays when the sentence changes. `docs/how-to/operation.md` lists the words of the station.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from types import TracebackType

import click

from semedge.core.timing import utc_text

PACKAGES = ("semedge", "semedge_trainer", "semedge_calibration")
DEFAULT_EVENT = "note"
MOST_OF_A_LIBRARY = 10
"""Records of one library's logger that are written in `LIMIT_WINDOW_S`."""
LIMIT_WINDOW_S = 60.0


class TextFormatter(logging.Formatter):
    """A sentence, preceded by the level where it is a warning or an error."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        message = printable(super().format(record))
        level = _level_of(record)
        return message if level == "info" else f"{level.title()}: {message}"


class JsonFormatter(logging.Formatter):
    """One JSON document: time (ISO-8601, UTC), level, event and message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        own = record.name.partition(".")[0] in PACKAGES
        event = DEFAULT_EVENT if own else f"library:{record.name}"
        return json.dumps(
            {
                "time": utc_text(time.time()),
                "level": _level_of(record),
                "event": getattr(record, "event", event),
                "message": super().format(record),
            }
        )


class StderrHandler(logging.Handler):
    """Writes each record as a line to what is `sys.stderr` at that time."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record."""
        try:
            click.echo(self.format(record), err=True)
        except Exception:
            self.handleError(record)


class LibraryLimit(logging.Filter):
    """Passes a few records a minute of each library's logger; semedge's own are not limited."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._since_s: dict[str, float] = {}
        self._passed: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if record.name.partition(".")[0] in PACKAGES:
            return True
        now_s = time.monotonic()
        with self._lock:
            if now_s - self._since_s.get(record.name, -LIMIT_WINDOW_S) >= LIMIT_WINDOW_S:
                self._since_s[record.name], self._passed[record.name] = now_s, 0
            self._passed[record.name] += 1
            passed = self._passed[record.name]
        if passed == MOST_OF_A_LIBRARY:
            record.msg = (
                f"{record.msg} (further messages of {record.name} are left out for a minute)"
            )
        return passed <= MOST_OF_A_LIBRARY


_handler = StderrHandler()
_limit = LibraryLimit()
_handler.addFilter(_limit)
if logging.lastResort is not None:
    # Writes what libraries log where nothing else is set up for them.
    logging.lastResort.addFilter(_limit)


def printable(text: str) -> str:
    """The text with its control characters escaped, but for line breaks and tabs.

    The name of a file or a station may hold some that a terminal would carry out.
    """
    return "".join(
        each if each.isprintable() or each in "\n\t" else ascii(each)[1:-1] for each in text
    )


def write_text(*, also_elsewhere: bool = True) -> None:
    """Write semedge's messages to stderr as sentences, from now on.

    `also_elsewhere` passes them on to handlers of the root logger, as a program that embeds semedge
    expects; on the command line a library's handler there would write each message twice.
    """
    _handler.setFormatter(TextFormatter())
    for name in PACKAGES:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.handlers[:] = [_handler]
        logger.propagate = also_elsewhere


def write_json_lines() -> None:
    """Write JSON lines from now on: semedge's messages, the libraries' warnings, and faults."""
    _handler.setFormatter(JsonFormatter())
    for name in PACKAGES:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.handlers.clear()
        logger.propagate = True
    logging.captureWarnings(True)
    logging.basicConfig(level="WARNING", handlers=[_handler], force=True)
    sys.excepthook = _log_fault
    threading.excepthook = lambda fault: _log_fault(
        fault.exc_type, fault.exc_value, fault.exc_traceback
    )


def structured() -> bool:
    """Whether stderr holds JSON lines, so that nothing else may be written there."""
    return isinstance(_handler.formatter, JsonFormatter)


def _level_of(record: logging.LogRecord) -> str:
    if record.levelno >= logging.ERROR:
        return "error"
    return "warning" if record.levelno >= logging.WARNING else "info"


def _log_fault(
    kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> None:
    """Log a fault of the program itself, with its traceback."""
    if kind is None or issubclass(kind, KeyboardInterrupt):
        return
    import traceback

    logging.getLogger("semedge").error(
        "".join(traceback.format_exception(kind, error, trace)), extra={"event": "fault"}
    )

"""The parts of a program that run in threads: each survives any exception, and faults are seen."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from semedge.core.backoff import Backoff
from semedge.core.errors import SemedgeError

logger = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 10.0
REMIND_EVERY_S = 60.0
"""Time between two log lines about the same fault."""

HANG_AFTER_S = 60.0
"""Longest step of a part, unless it is given its own limit."""


@dataclass
class _Part:
    """The current step of a part, and its fault."""

    hang_after_s: float
    step_began_s: float
    fault: str = ""
    logged_s: float | None = None


class Parts:
    """Repeats the steps of each part, and shows which parts fail; usable from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: dict[str, _Part] = {}

    def faults(self) -> dict[str, str]:
        """The reason of each part that failed, ended or hangs, by its name."""
        now_s = time.monotonic()
        with self._lock:
            found = {}
            for name, part in self._parts.items():
                hung_s = now_s - part.step_began_s
                if part.fault:
                    found[name] = part.fault
                elif hung_s > part.hang_after_s:
                    found[name] = f"it has hung for {hung_s:.0f} s"
            return found

    def repeat(
        self,
        name: str,
        step: Callable[[], object],
        closing: threading.Event,
        *,
        hang_after_s: float = HANG_AFTER_S,
    ) -> None:
        """Call `step` until `closing` is set; after an exception, again with growing pauses.

        Parameters
        ----------
        name
            The part's name in messages, such as `delivery to plc`.
        step
            One pass of the part, which waits inside for what it needs.
        closing
            Ends the part.
        hang_after_s
            Longest step, above which the part counts as hanging.
        """
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        ended = "its thread ended; restart the station"
        try:
            while not closing.is_set():
                self._begin_step(name, hang_after_s)
                try:
                    step()
                except Exception as error:
                    if closing.is_set():
                        break
                    self.failed(name, error)
                    closing.wait(backoff.next_s())
                else:
                    self.works(name)
                    backoff.reset()
            ended = ""
        finally:
            with self._lock:
                if ended:
                    self._parts[name].fault = ended
                else:
                    self._parts.pop(name, None)

    def failed(self, name: str, error: BaseException) -> None:
        """Show that a part fails, and log it: the first time, and then once a minute."""
        reason = reason_of(error)
        now_s = time.monotonic()
        with self._lock:
            part = self._parts.setdefault(name, _Part(HANG_AFTER_S, now_s))
            part.step_began_s = now_s
            due = part.logged_s is None or now_s - part.logged_s > REMIND_EVERY_S
            part.logged_s = now_s if due else part.logged_s
            part.fault = reason
        if due:
            logger.error(
                f"{name} failed and is tried again: {reason}",
                extra={"event": "part-failed"},
                exc_info=None if isinstance(error, SemedgeError | OSError) else error,
            )

    def works(self, name: str) -> None:
        """Show that a part works."""
        now_s = time.monotonic()
        with self._lock:
            part = self._parts.setdefault(name, _Part(HANG_AFTER_S, now_s))
            part.step_began_s = now_s
            had_failed, part.fault, part.logged_s = bool(part.fault), "", None
        if had_failed:
            logger.info(f"{name} works again.", extra={"event": "part-works"})

    def _begin_step(self, name: str, hang_after_s: float) -> None:
        now_s = time.monotonic()
        with self._lock:
            part = self._parts.setdefault(name, _Part(hang_after_s, now_s))
            part.hang_after_s, part.step_began_s = hang_after_s, now_s


def reason_of(error: BaseException) -> str:
    """The reason of an error in one line, with its type where the program did not expect it."""
    first = next(iter(str(error).splitlines()), "")
    if isinstance(error, SemedgeError | OSError) and first:
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__

"""Signals, and wake-ups by other threads, for the main loop."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from types import FrameType

from semedge.core.closing import Closing

TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WAKE = 0


class SignalPipe(Closing):
    """Turns signals into bytes of a pipe, which `wait` reads; within a `with`.

    The handler only writes, since the main thread might have any lock that it needs. A second
    SIGINT or SIGTERM has its default effect. Outside the main thread, which alone can handle
    signals, only `wake` works.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> SignalPipe:
        if threading.current_thread() is threading.main_thread():
            self._previous = {each: signal.signal(each, self._on_signal) for each in TAKEN}
        return self

    def close(self) -> None:
        """Stop handling signals."""
        self._restore(*TAKEN)
        write_end, self._write_end = self._write_end, -1
        os.close(write_end)
        os.close(self._read_end)

    def wait(self, timeout_s: float) -> set[int]:
        """Numbers of the signals that arrived within `timeout_s` or until `wake`."""
        ready, _, _ = select.select([self._read_end], [], [], timeout_s)
        if not ready:
            return set()
        return set(os.read(self._read_end, 4096)) - {WAKE}

    def wake(self) -> None:
        """End the wait; callable from any thread."""
        self._write(WAKE)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._write(number)
        if number != signal.SIGHUP:
            self._restore(signal.SIGINT, signal.SIGTERM)

    def _write(self, number: int) -> None:
        # A full pipe wakes the loop anyway; a closed one belongs to a watch that has ended.
        with contextlib.suppress(OSError):
            os.write(self._write_end, bytes([number]))

    def _restore(self, *numbers: signal.Signals) -> None:
        for each in numbers:
            if each in self._previous:
                signal.signal(each, self._previous.pop(each))  # type: ignore[arg-type]

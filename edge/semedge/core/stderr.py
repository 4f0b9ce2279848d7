"""What native libraries write to the process's stderr, for which they have no setting."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

STDERR = 2
_lock = threading.RLock()


@contextlib.contextmanager
def stderr_filtered(wanted: Callable[[bytes], bool]) -> Iterator[None]:
    """Let through only the lines written within that are `wanted`; they are written at the end.

    The whole process's stderr is diverted: threads that divert it take turns.
    """
    with _lock, contextlib.ExitStack() as stack:
        # A service may run with stderr closed; then there is nothing to divert.
        with contextlib.suppress(OSError):
            stack.callback(_divert(wanted))
        yield


def stderr_dropped() -> contextlib.AbstractContextManager[None]:
    """Drop what is written to stderr within the `with`; errors are still raised."""
    return stderr_filtered(lambda line: False)


def without_information() -> contextlib.AbstractContextManager[None]:
    """Drop the lines that begin with `INFO:`, as TFLite's runtimes write them."""
    return stderr_filtered(lambda line: not line.startswith(b"INFO:"))


def _divert(wanted: Callable[[bytes], bool]) -> Callable[[], None]:
    """Divert stderr to memory; the function that is returned ends that."""
    original = os.dup(STDERR)
    written = os.memfd_create("stderr")
    os.dup2(written, STDERR)

    def restore() -> None:
        os.dup2(original, STDERR)
        os.close(original)
        with os.fdopen(written, "rb") as file:
            file.seek(0)
            passed = b"".join(line for line in file if wanted(line))
        with contextlib.suppress(OSError):
            os.write(STDERR, passed)

    return restore

"""Learning and scoring beside a running station, in child processes that yield to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semedge.core.errors import SemedgeError

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
}
SETTINGS = "SEMEDGE_"
"""Variables that begin so set options of commands, and the station's are not those of a child."""

NICENESS = 10
"""A tenth of a core that the inspection uses, and all that it leaves: with less, a station that is
always busy would never learn."""

POLL_S = 0.2
KILL_AFTER_S = 5.0
MESSAGES_READ = 65_536


@dataclass(frozen=True)
class ChildResult:
    """The end of a child process.

    Attributes
    ----------
    status
        Its exit status; negative where a signal ended it.
    document
        The JSON document that it printed; None where it printed none.
    message
        Its last message, without its level.
    """

    status: int
    document: dict[str, Any] | None
    message: str


def run_semedge(
    arguments: Sequence[str],
    over: threading.Event,
    timeout_s: float,
    on_message: Callable[[str], None] = lambda text: None,
) -> ChildResult:
    """Run a command of semedge with a low priority and one thread.

    Parameters
    ----------
    arguments
        The command's name and arguments; it must print one JSON document.
    over
        Ends the command.
    timeout_s
        Longest time.
    on_message
        Called with its newest message.

    Raises
    ------
    SemedgeError
        Where it cannot be started, was ended by `over`, or took too long.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as messages:
        try:
            child = subprocess.Popen(
                [sys.executable, "-m", "semedge", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=messages,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise SemedgeError(
                f"The process that learns could not be started ({error.strerror}); free some "
                "memory and try again."
            ) from error
        try:
            _yield_to_others(child.pid)
            ends_s = time.monotonic() + timeout_s
            while child.poll() is None:
                if over.wait(POLL_S):
                    raise SemedgeError("Learning was stopped; the frames are kept.")
                if time.monotonic() > ends_s:
                    raise SemedgeError(
                        f"Learning took more than {timeout_s / 60:.0f} min and was ended; take "
                        "fewer frames, or learn on another machine with `semedge learn`."
                    )
                on_message(_last_line(messages))
        finally:
            _end(child)
        output.seek(0)
        return ChildResult(child.returncode, _document(output.read()), _last_line(messages))


def _yield_to_others(pid: int) -> None:
    """Give a process a small share of the processor, as far as the system allows."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
    # A session of its own may be a group of its own, whose share depends on this alone.
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICENESS))


def _environment() -> dict[str, str]:
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(SETTINGS)}
    return {**inherited, **ONE_THREAD}


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a process and those that it has started."""
    for each, wait_s in ((signal.SIGTERM, KILL_AFTER_S), (signal.SIGKILL, None)):
        if child.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, each)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(wait_s)


def _last_line(messages: Any) -> str:
    size = messages.seek(0, os.SEEK_END)
    messages.seek(max(0, size - MESSAGES_READ))
    lines = messages.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].removeprefix("Error: ") if lines else ""


def _document(content: bytes) -> dict[str, Any] | None:
    lines = content.decode("utf-8", "replace").strip().splitlines()
    try:
        document = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return document if isinstance(document, dict) else None

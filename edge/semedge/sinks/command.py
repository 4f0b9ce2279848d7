"""Events passed to a program of the integrator."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from typing import Literal

from pydantic import Field

from semedge.core.event import Event
from semedge.sinks.base import DeliveryError, Sink
from semedge.sinks.section import SinkSection

PASSED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""Variables that the program gets: not all, since some contain the station's secrets."""

LONGEST_REASON = 200


class CommandSection(SinkSection):
    """`[sinks.NAME]` with `kind = "command"`: a program run for each event."""

    kind: Literal["command"] = Field(description="The word `command`.")
    argv: tuple[str, ...] = Field(
        min_length=1,
        description="The program and its arguments, as a list; no shell reads them.",
    )
    timeout_s: float = Field(
        default=10.0, gt=0, le=600, description="Time after which the program is killed."
    )
    pass_environment: tuple[str, ...] = Field(
        default=(), description="Names of further variables that the program gets."
    )

    def open(self, name: str) -> Sink:
        """The sink."""
        return CommandSink(name, self)


class CommandSink:
    """Runs the program with the event's JSON document on its standard input.

    Exit status 0 means that the event is delivered. A program that takes too long is killed with
    all the processes that it started.
    """

    def __init__(self, name: str, section: CommandSection) -> None:
        self.name = name
        self._section = section

    def deliver(self, event: Event) -> None:
        """Run the program and wait until it ends."""
        names = (*PASSED, *self._section.pass_environment)
        environment = {each: os.environ[each] for each in names if each in os.environ}
        # Files rather than pipes, so that a program that reads nothing, or leaves a child that
        # keeps its output open, does not block the delivery.
        with tempfile.TemporaryFile() as document, tempfile.TemporaryFile() as complaint:
            document.write(json.dumps(event.to_document(), allow_nan=False).encode() + b"\n")
            document.seek(0)
            try:
                process = subprocess.Popen(
                    self._section.argv,
                    stdin=document,
                    stdout=subprocess.DEVNULL,
                    stderr=complaint,
                    env=environment,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                raise DeliveryError(f"{self._section.argv[0]} cannot be run ({reason})") from error
            status = self._wait(process)
            if status != 0:
                complaint.seek(0)
                lines = complaint.read(65_536).decode("utf-8", "replace").strip().splitlines()
                reason = f": {lines[-1][:LONGEST_REASON]}" if lines else ""
                raise DeliveryError(f"{self._section.argv[0]} ended with status {status}{reason}")

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        try:
            return process.wait(self._section.timeout_s)
        except subprocess.TimeoutExpired:
            raise DeliveryError(
                f"{self._section.argv[0]} did not end within {self._section.timeout_s:g} s"
            ) from None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

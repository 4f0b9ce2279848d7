"""What the sinks share that are servers, whose clients read the state and the events."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from pydantic import Field

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.sinks.base import DeliveryError
from semedge.sinks.event_loop import LoopThread
from semedge.sinks.section import SinkSection
from semedge.state.requests import RequestHandler
from semedge.state.state import StationState

REFRESH_EVERY_S = 0.2
START_TIMEOUT_S = 60.0
LOOK_EVERY_S = 0.02
CLOSE_TIMEOUT_S = 1.5
ANSWER_TIMEOUT_S = 5.0
"""Longest time for the server's loop to respond, before it counts as failed."""


class ServerSection(SinkSection):
    """The part of a server's table that does not depend on its protocol."""

    timeout_s: float = Field(
        default=10.0, gt=0, le=60, description="Longest wait for a client to confirm an event."
    )
    accept_settings: bool = Field(
        default=False, description="Let clients move levels, switch recipes and acknowledge."
    )


class ServerSink(ABC):
    """A server in a separate event loop, and a thread that updates it from the state.

    Parameters
    ----------
    name
        The sink's name.
    protocol
        Name of the protocol for people.
    address
        Host and port.
    """

    most_cameras: int | None = None
    """Cameras that the protocol has room for; None where there is no limit."""

    def __init__(self, name: str, protocol: str, address: tuple[str, int]) -> None:
        self.name = name
        self._protocol = protocol
        self._address = address
        self._cameras: list[str] = []
        self._state: StationState | None = None
        self._handler: RequestHandler | None = None
        self._loop: LoopThread | None = None
        self._server: Any = None
        self._listening = threading.Lock()
        self._closing = threading.Event()
        self._worker = threading.Thread(target=self._run, name=f"{protocol}-{name}", daemon=True)

    def attach(self, state: StationState, handler: RequestHandler) -> None:
        """Start to listen and to show the state, without blocking the inspection.

        Raises `SemedgeError` where the port cannot be used.
        """
        self._state, self._handler = state, handler
        self._cameras = list(state.snapshot().cameras)[: self.most_cameras]
        host, port = self._address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            socket.create_server((host, port), family=family).close()
        except OSError as error:
            raise self._refusal(error) from error
        self._worker.start()

    @abstractmethod
    def deliver(self, event: Event) -> None:
        """Show an event; `DeliveryError` where no client confirmed it."""

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()
        # A server that is still starting ends with the process.
        if not self._listening.acquire(timeout=CLOSE_TIMEOUT_S):
            return
        try:
            loop, self._loop = self._loop, None
        finally:
            self._listening.release()
        if loop is None:
            return
        try:
            if self._server is not None:
                loop.run(self._stop(self._server), CLOSE_TIMEOUT_S)
        except TimeoutError:
            # Clients disconnect slowly; what is left ends with the loop.
            pass
        finally:
            loop.close(CLOSE_TIMEOUT_S)

    @abstractmethod
    async def _start(self, station: str) -> Any:
        """The server, listening."""

    @abstractmethod
    async def _stop(self, server: Any) -> None:
        """Stop the server."""

    @abstractmethod
    def _work(self) -> None:
        """Wait `REFRESH_EVERY_S` or for a request, and update the server from the state."""

    def _run(self) -> None:
        assert self._state is not None
        part = f"{self._protocol} sink {self.name}"
        self._state.parts.repeat(part, self._step, self._closing, hang_after_s=2 * START_TIMEOUT_S)

    def _step(self) -> None:
        """Start the server where it is not running, and update it."""
        assert self._state is not None
        self._listen(self._state.name).run(asyncio.sleep(0), ANSWER_TIMEOUT_S)
        self._work()

    def _listen(self, station: str) -> LoopThread:
        """The loop of the server, which is started where it is not running.

        Raises `SemedgeError` where it cannot be started.
        """
        with self._listening:
            if self._loop is not None:
                return self._loop
            if self._closing.is_set():
                raise SemedgeError(f"The {self._protocol} sink {self.name} is closed.")
            loop = LoopThread(f"{self._protocol}-{self.name}-server")
            try:
                self._server = loop.run(self._start(station), START_TIMEOUT_S)
            except Exception as error:
                # For every error of a library here, the remedy is to change the table.
                with contextlib.suppress(concurrent.futures.TimeoutError):
                    loop.close(CLOSE_TIMEOUT_S)
                raise self._refusal(error) from error
            self._loop = loop
            return loop

    def _refusal(self, error: Exception) -> SemedgeError:
        host, port = self._address
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return SemedgeError(
            f"The {self._protocol} sink {self.name} cannot listen on {host} port {port} "
            f"({reason}); choose a free port of this machine, and correct the sink's table."
        )

    def _await_confirmation(
        self, number: int, confirmed: Callable[[], float], timeout_s: float, not_confirmed: str
    ) -> None:
        """Wait until a client confirms the event; the error begins with `not_confirmed`."""
        ends_s = time.monotonic() + timeout_s
        while confirmed() != number:
            if time.monotonic() > ends_s or self._closing.is_set():
                raise DeliveryError(f"{not_confirmed} event {number} within {timeout_s:g} s")
            time.sleep(LOOK_EVERY_S)

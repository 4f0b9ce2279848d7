"""A running station's connections to the outside: its page, two-way sinks, and systemd."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from semedge.journal.reader import JournalReader
from semedge.sinks.base import Sink
from semedge.sinks.section import TwoWaySink
from semedge.state.control import Control
from semedge.state.document import station_verdict
from semedge.state.requests import Remote
from semedge.state.state import StationState
from semedge.station.systemd import Supervisor
from semedge.web.section import WebSection
from semedge.web.server import PageServer

logger = logging.getLogger(__name__)

LEAST_PATIENCE_S = 60.0


@dataclass(frozen=True)
class PagePlan:
    """Where the page is served, and where its events and pictures are."""

    section: WebSection
    journal: Path
    pictures: Path


class Outside:
    """Opened when the watch is about to inspect, and closed when it has ended.

    Parameters
    ----------
    sinks
        Those that tell the state and take requests are given both.
    page
        The page to serve; None for none.
    patience_s
        How long a camera's loop may take for one turn before it counts as hanging, and the
        watchdog hears no more: longer than any wait for a frame.
    """

    def __init__(
        self,
        sinks: Sequence[Sink] = (),
        page: PagePlan | None = None,
        patience_s: float = LEAST_PATIENCE_S,
    ) -> None:
        self._sinks = sinks
        self._plan = page
        self._patience_s = patience_s
        self._supervisor = Supervisor()
        self._page: PageServer | None = None
        self._journal: JournalReader | None = None
        self._state: StationState | None = None
        self._status = ""
        self._hangs = False

    def open(self, state: StationState, control: Control) -> None:
        """Attach the sinks and serve the page.

        Raises `SemedgeError`, with every sink closed, where one of them cannot be had.
        """
        try:
            self._open(state, control)
        except BaseException:
            for sink in self._sinks:
                sink.close()
            raise

    def turn(self, longest_turn_s: float) -> None:
        """Tell systemd that the station lives; called by its main loop.

        Parameters
        ----------
        longest_turn_s
            How long the slowest camera's loop has been at its turn.
        """
        if longest_turn_s > self._patience_s:
            if not self._hangs:
                logger.error(
                    f"A camera's loop hangs for {longest_turn_s:.0f} s; the watchdog hears no "
                    "more, so that systemd starts the station again.",
                    extra={"event": "hangs"},
                )
            self._hangs = True
            return
        self._hangs = False
        self._supervisor.alive()
        assert self._state is not None
        snapshot = self._state.snapshot()
        waiting = sum(snapshot.pending.values())
        status = f"Verdict: {station_verdict(snapshot)}; {waiting} deliveries wait."
        if status != self._status:
            self._status = status
            self._supervisor.status(status)

    def reloading(self) -> None:
        """The station file is read again."""
        self._supervisor.reloading()

    def reloaded(self) -> None:
        """The station file was read again, or refused."""
        self._supervisor.ready(self._status or "Inspecting.")

    def stopping(self) -> None:
        """The station ends; the page does so meanwhile."""
        self._supervisor.stopping()
        if self._page is not None:
            self._page.stop()

    def close(self) -> None:
        """Close the page; the sinks are closed by those who deliver to them."""
        if self._page is not None:
            self._page.close()
        if self._journal is not None:
            self._journal.close()
        self._supervisor.close()

    def _open(self, state: StationState, control: Control) -> None:
        self._state = state
        remote = Remote(state, control)
        if self._plan is not None:
            # The journal is checked when the watch opens it.
            self._journal = JournalReader(self._plan.journal, check=False)
            self._page = PageServer(
                self._plan.section, state, remote, self._journal, self._plan.pictures
            )
            self._page.start()
        # After the page: servers among them take a second or two, and the inspection goes ahead.
        for sink in self._sinks:
            if isinstance(sink, TwoWaySink):
                sink.attach(state, remote)
        self._supervisor.ready("Starting to inspect.")

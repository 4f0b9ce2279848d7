"""The connections of a running station: its page, and the sinks that also take requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from semedge.journal.marked_frames import MOST_BYTES
from semedge.journal.reader import JournalReader
from semedge.sinks.base import Sink
from semedge.sinks.section import TwoWaySink
from semedge.state.requests import Control, RequestHandler
from semedge.state.state import StationState
from semedge.state.teaching import Teaching
from semedge.web.section import WebSection
from semedge.web.server import PageServer


@dataclass(frozen=True)
class PagePlan:
    """The settings of the page, and the files of its events and pictures."""

    section: WebSection
    journal: Path
    pictures: Path
    most_marked_bytes: int = MOST_BYTES


class Connections:
    """Connections that are opened before the watch inspects, and closed after it has ended.

    Parameters
    ----------
    sinks
        The sinks; those that publish the state and take requests are attached to both.
    page
        The page to serve; None for none.
    """

    def __init__(self, sinks: Sequence[Sink] = (), page: PagePlan | None = None) -> None:
        self._sinks = sinks
        self._plan = page
        self._page: PageServer | None = None
        self._journal: JournalReader | None = None

    @property
    def has_page(self) -> bool:
        """Whether there is a page."""
        return self._plan is not None

    def open(self, state: StationState, control: Control, teaching: Teaching | None = None) -> None:
        """Attach the sinks and serve the page, with its tab Teach where there is `teaching`.

        Raises `SemedgeError`, with every sink closed, where one of them cannot be opened.
        """
        try:
            self._open(state, control, teaching)
        except BaseException:
            for sink in self._sinks:
                sink.close()
            raise

    def stop(self) -> None:
        """Start to close the page, while the station stops."""
        if self._page is not None:
            self._page.stop()

    def close(self) -> None:
        """Close the page; the sinks are closed by their delivery."""
        if self._page is not None:
            self._page.close()
        if self._journal is not None:
            self._journal.close()

    def _open(self, state: StationState, control: Control, teaching: Teaching | None) -> None:
        handler = RequestHandler(state, control)
        if self._plan is not None:
            # The journal is checked when the watch opens it.
            self._journal = JournalReader(self._plan.journal, check=False)
            self._page = PageServer(
                self._plan.section,
                state,
                handler,
                self._journal,
                self._plan.pictures,
                self._plan.most_marked_bytes,
                teaching,
            )
            self._page.start()
        # After the page: servers take a second or two to start, and the inspection does not wait.
        for sink in self._sinks:
            if isinstance(sink, TwoWaySink):
                sink.attach(state, handler)

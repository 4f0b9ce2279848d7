"""The messages to all open pages, each of which is made once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.core.timing import utc_text
from semedge.journal.reader import JournalReader, ShownEvent
from semedge.state.document import finite, state_document
from semedge.state.snapshot import Inspected, ScorePoint, StationSnapshot
from semedge.state.state import StationState

EVENTS_SHOWN = 50
MOST_CLIENTS = 250
CLIENTS_A_SECOND = 50
PICTURES_A_SECOND = 10
STREAM = "stream of the page"
"""Name of this part of the station."""

MESSAGES_BUFFERED = 4
SOONEST = 0.2
"""The share of the time between two messages after which an event triggers the next one."""

SETTLE_S = 0.03
"""Wait for the frame of an event, so that one message has both."""


class Broadcast:
    """Sends the state to every client: at once after an event, and else the less often, the more
    clients there are.

    The work in a second stays the same, so that many viewers do not slow the inspection.

    Parameters
    ----------
    state
        The state to send.
    journal
        The journal with the events and their acknowledgements.
    recipes
        Returns the names of the recipes to switch to.
    """

    def __init__(
        self, state: StationState, journal: JournalReader, recipes: Callable[[], list[str]]
    ) -> None:
        self._state = state
        self._journal = journal
        self._recipes = recipes
        self._clients: set[asyncio.Queue[bytes | None]] = set()
        self._closing = False
        self._events_text = ""
        self._last_sent: dict[str, int] = {}
        self._shown: dict[str, Inspected] = {}
        self._lock = threading.Lock()
        self._begin: bytes | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event_raised = asyncio.Event()
        state.on_event(self._hurry)

    @property
    def clients(self) -> int:
        """Number of open pages."""
        return len(self._clients)

    def shown(self, camera: str) -> Inspected | None:
        """The frame that the last message is about; None where there was none."""
        return self._shown.get(camera)

    @property
    def every_s(self) -> float:
        """Time between two messages while there is no event."""
        return max(1.0, self.clients / CLIENTS_A_SECOND)

    async def run(self) -> None:
        """Send until cancelled, also after faults."""
        self._loop = asyncio.get_running_loop()
        while True:
            await self._until_due()
            self._begin = None
            try:
                if self._clients:
                    message = await asyncio.to_thread(self._update)
                    for queue in self._clients:
                        _put(queue, message)
            except Exception as error:
                self._state.parts.failed(STREAM, error)
            else:
                self._state.parts.works(STREAM)

    def close(self) -> None:
        """End every stream; callable from any thread."""
        self._closing = True
        self._call(self._end_streams)

    async def listen(self) -> AsyncIterator[bytes]:
        """Server-sent events for one client, which start with the whole history."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(MESSAGES_BUFFERED)
        if self._closing or self.clients >= MOST_CLIENTS:
            yield _message("full", {"clients": self.clients})
            return
        self._clients.add(queue)
        try:
            yield await asyncio.to_thread(self._history)
            while (message := await queue.get()) is not None:
                yield message
        finally:
            self._clients.discard(queue)

    def _call(self, function: Callable[[], object]) -> None:
        """Call a function in the loop; callable from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)

    def _hurry(self) -> None:
        self._call(self._event_raised.set)

    async def _until_due(self) -> None:
        soonest_s = SOONEST * self.every_s
        await asyncio.sleep(soonest_s)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._event_raised.wait(), self.every_s - soonest_s)
            await asyncio.sleep(SETTLE_S)
        self._event_raised.clear()

    def _end_streams(self) -> None:
        for queue in self._clients:
            _put(queue, None)

    def _history(self) -> bytes:
        """The first message to a page, made once between two messages to all."""
        with self._lock:
            if self._begin is None:
                snapshot = self._state.snapshot()
                self._begin = _message("state", self._document(snapshot, {}))
                self._begin += _message("events", self._events())
            return self._begin

    def _update(self) -> bytes:
        """The state, the scores since the last message, and the events where they changed."""
        with self._lock:
            # A page that opens after this message must not miss its content.
            self._begin = None
            snapshot = self._state.snapshot()
        message = _message("state", self._document(snapshot, self._last_sent))
        self._last_sent = {
            name: camera.scores[-1].number
            for name, camera in snapshot.cameras.items()
            if camera.scores
        }
        events = self._events()
        text = json.dumps(events)
        if text != self._events_text:
            self._events_text = text
            message += _message("events", events)
        return message

    def _document(self, snapshot: StationSnapshot, last_sent: Mapping[str, int]) -> dict[str, Any]:
        self._shown = {
            name: camera.last for name, camera in snapshot.cameras.items() if camera.last
        }
        return {
            "now": utc_text(time.time()),
            "every_s": self.every_s,
            "picture_every_s": max(1.0, self.clients / PICTURES_A_SECOND),
            "whole": not last_sent,
            "state": state_document(snapshot),
            "scores": {
                name: [
                    [round(point.captured_at_s, 3), finite(point.score), point.level, point.number]
                    for point in _after(camera.scores, last_sent.get(name, 0))
                ]
                for name, camera in snapshot.cameras.items()
            },
            "recipes": self._recipes(),
        }

    def _events(self) -> list[dict[str, Any]]:
        """The newest events; none where the journal cannot be read, which the watch reports."""
        try:
            newest = self._journal.newest_events(EVENTS_SHOWN)
        except SemedgeError:
            return []
        return [shown_event(each) for each in newest]


def _after(scores: Sequence[ScorePoint], last: int) -> Sequence[ScorePoint]:
    """Points that came after the one with the number `last`; the numbers have no gaps."""
    new = scores[-1].number - last if scores else 0
    return scores[max(0, len(scores) - new) :] if new > 0 else ()


def shown_event(shown: ShownEvent) -> dict[str, Any]:
    """An event as the page shows it, without the paths of this machine."""
    document, seen, mark = shown.event.to_document(), shown.seen, shown.mark
    for name in ("frame", "overlay"):
        document[f"{name}_picture"] = document[f"{name}_picture"] is not None
    document["seen"] = None if seen is None else {"at": seen.at, "who": seen.who}
    document["mark"] = None if mark is None else mark.to_document()
    return document


def _message(kind: str, document: Any) -> bytes:
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode()


def _put(queue: asyncio.Queue[bytes | None], message: bytes | None) -> None:
    """Queue a message for a client; a client that does not keep up loses its oldest ones."""
    if queue.full():
        with contextlib.suppress(asyncio.QueueEmpty):
            queue.get_nowait()
    queue.put_nowait(message)

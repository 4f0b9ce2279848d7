"""Events on the terminal."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from semedge.core.console import print_json
from semedge.core.event import Event
from semedge.core.timing import utc_text

logger = logging.getLogger(__name__)


def event_line(event: Event) -> str:
    """The event as one line for people."""
    word = {"warn": "WARNING", "alarm": "ALARM"}.get(event.level or "", event.kind.upper())
    camera = f" {event.camera}" if event.camera else ""
    picture = "" if event.overlay_picture is None else f" {event.overlay_picture}"
    return f"{word} {utc_text(event.raised_at_s)}{camera} {event.phase}: {event.message}{picture}"


@dataclass(frozen=True)
class ConsoleSink:
    """Prints each event: a line for people to stderr, or with `as_json` a document to stdout."""

    as_json: bool = False
    name: str = "console"

    def deliver(self, event: Event) -> None:
        """Print the event."""
        if self.as_json:
            print_json(event.to_document())
        else:
            logger.info(event_line(event), extra={"event": "event"})

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

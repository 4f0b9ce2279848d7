"""Alerts on the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from semedge.alert import Alert, utc_text
from semedge.console import print_json, say


def alert_line(alert: Alert) -> str:
    """The alert as one line for people."""
    x, y = alert.peak_px
    picture = alert.overlay_picture or "no picture"
    return (
        f"ALERT {utc_text(alert.captured_at_s)} frame {alert.sequence} ({alert.source}): "
        f"score {alert.frame_score:.4g} above {alert.threshold:.4g} at x={x} y={y}; {picture}"
    )


@dataclass(frozen=True)
class ConsoleSink:
    """Prints each alert: a line for people to stderr, or with `as_json` one document to stdout."""

    as_json: bool = False
    name: str = "console"

    def deliver(self, alert: Alert) -> None:
        """Print the alert."""
        if self.as_json:
            print_json(alert.to_dict())
        else:
            say(alert_line(alert))

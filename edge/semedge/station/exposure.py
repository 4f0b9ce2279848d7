"""Warnings about settings that let others read or change what they should not."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from pathlib import Path

from semedge.sinks.section import SinkSection
from semedge.station.config.station import Station

logger = logging.getLogger(__name__)

SHORTEST_TOKEN = 12


def warn_of_exposure(station: Station) -> None:
    """Log each setting that exposes the station; nothing is refused."""
    for fault in _faults(station):
        logger.warning(fault, extra={"event": "exposed"})


def _faults(station: Station) -> Iterator[str]:
    web = station.web
    if web is not None:
        for name in ("token", "operator_token", "viewer_token"):
            secret = getattr(web, name)
            if secret is not None and len(secret.read()) < SHORTEST_TOKEN:
                yield (
                    f"web.{name} has fewer than {SHORTEST_TOKEN} characters, which can be guessed; "
                    "make one with `openssl rand -base64 24`."
                )
        yield from _of_key("web", web.private_key)
    for name, sink in station.sinks.items():
        yield from _of_key(f"sinks.{name}", getattr(sink, "private_key", None))
        if getattr(sink, "accept_settings", False):
            yield from _of_requests(name, sink)
    recipes = station.station.recipes
    if recipes is not None and _mode(recipes) & stat.S_IWOTH:
        yield (
            f"Every user of this machine can write to the folder of recipes {recipes}; run "
            f"`chmod o-w {recipes}`."
        )


def _of_requests(name: str, sink: SinkSection) -> Iterator[str]:
    """A sink that takes requests from anyone who can reach it."""
    kind = getattr(sink, "kind", "")
    if kind == "opcua" and getattr(sink, "username", None) is None:
        yield (
            f"sinks.{name} accepts settings from anyone who can reach it, unencrypted or without a "
            "user; give it certificate, private_key, username and password."
        )
    if kind == "mqtt" and getattr(sink, "username", None) is None:
        yield (
            f"sinks.{name} accepts settings from everyone whom the broker lets publish; give the "
            "broker users and an access list, and the sink a username."
        )


def _of_key(table: str, key: Path | None) -> Iterator[str]:
    if key is not None and _mode(key) & stat.S_IROTH:
        yield (
            f"Every user of this machine can read {table}.private_key, {key}; run "
            f"`chmod o-r {key}`."
        )


def _mode(path: Path) -> int:
    """Permissions of a file; 0 where it cannot be seen, which is reported where it is used."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0

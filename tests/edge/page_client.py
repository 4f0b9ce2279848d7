"""Requests to the page of a station, for its tests."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
from page_support import TOKEN, PageStation

RIGHT = {"Authorization": f"Bearer {TOKEN}"}


def raw(station: PageStation, method: str, path: str, **headers: str) -> tuple[int, bytes]:
    """Ask with the path as it is: httpx would tidy it up."""
    parts = urlsplit(station.address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=5)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def stream(client: httpx.Client) -> Iterator[tuple[str, Any]]:
    """Messages of the server, as they come."""
    with client.stream("GET", "/api/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        kind = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield kind, json.loads(line.removeprefix("data: "))

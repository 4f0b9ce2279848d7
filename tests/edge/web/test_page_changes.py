"""Changes on the page: who may make them, and what is refused."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from faults import Fault
from page_client import RIGHT, stream
from page_support import TOKEN, PageStation, page_station

ALARM_13 = {"action": "levels", "camera": "top", "alarm": 13.0}


@pytest.mark.fault(Fault.PAGE)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer"},
        {"Cookie": f"token={TOKEN}"},
    ],
)
def test_without_the_token_nothing_is_changed(
    client: httpx.Client, station: PageStation, headers: dict[str, str]
) -> None:
    before = [each for each in station.control.requests if each[0] != "token-refused"]
    answer = client.post("/api/ask", json=ALARM_13, headers=headers)
    assert answer.status_code == 401
    assert client.post("/api/token", headers=headers).status_code == 401
    after = [each for each in station.control.requests if each[0] != "token-refused"]
    assert after == before


def test_with_the_token_a_change_is_made_and_audited(
    client: httpx.Client, station: PageStation
) -> None:
    event = station.raise_event(station.inspect(13.0))
    for request in (
        ALARM_13,
        {"action": "recipe", "recipe": "tile"},
        {"action": "acknowledge", "event_id": event.event_id},
    ):
        answer = client.post("/api/ask", json={**request, "who": "R. Weiß"}, headers=RIGHT)
        assert answer.status_code == 200, answer.text
    who = "page: R. Weiß"
    assert station.control.requests[-3:] == [
        ("levels", "top", 13.0, 8.0, who),
        ("recipe", "top", "tile", who),
        ("acknowledge", event.event_id, who),
    ]
    messages = stream(client)
    next(messages)
    _, events = next(messages)
    assert events[0]["seen"]["who"] == who
    messages.close()  # type: ignore[attr-defined]
    client.post("/api/ask", json={**ALARM_13, "alarm": 9.8}, headers=RIGHT)


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        ({"action": "levels", "alarm": 1}, 422, "warn level .* 1. Received: "),
        ({"action": "recipe", "recipe": "../token"}, 422, "'../token'"),
        ({"action": "recipe", "recipe": "broken"}, 422, "damaged"),
        ({"action": "erase"}, 422, "'erase'"),
        ([1], 400, "JSON object; send one"),
    ],
)
def test_what_cannot_be_done_is_refused(
    client: httpx.Client, request_: Any, status: int, reason: str
) -> None:
    answer = client.post("/api/ask", json=request_, headers=RIGHT)
    assert answer.status_code == status
    assert re.search(reason, answer.json()["detail"])


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 16_000, b'{"action": NaN}'])
def test_a_body_that_is_no_request(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/api/ask", content=body, headers=RIGHT)
    assert answer.status_code in (400, 422)


@pytest.mark.fault(Fault.PAGE)
def test_a_huge_body_is_refused_before_it_is_read(station: PageStation) -> None:
    parts = urlsplit(station.address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=5)
    sent_bytes = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent_bytes
        while sent_bytes < 256_000_000:
            sent_bytes += 65_536
            yield b"x" * 65_536

    try:
        connection.request("POST", "/api/ask", endless(), headers=RIGHT, encode_chunked=True)
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        # The server has hung up on a client that went on all the same.
        pass
    finally:
        connection.close()
    assert sent_bytes < 64_000_000
    answer = httpx.post(f"{station.address}api/ask", content=b"x" * 20_000, headers=RIGHT)
    assert answer.status_code == 413


def test_a_station_without_a_token_changes_nothing(tmp_path: Path) -> None:
    with page_station(tmp_path, token=False) as started:
        answer = httpx.post(f"{started.address}api/ask", json=ALARM_13, headers=RIGHT)
        assert answer.status_code == 403
        assert "web.token" in answer.json()["detail"]
        assert started.control.requests == []

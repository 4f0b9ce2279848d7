"""The page's server: many clients, faults, and its end."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from faults import Fault
from page_client import stream
from page_support import PageStation, page_station
from scripted import wait_until
from station_support import request_handler_of, running_station

from semedge.core.errors import SemedgeError
from semedge.journal.journal import Journal
from semedge.journal.reader import JournalReader
from semedge.web.section import WebSection
from semedge.web.server import PageServer


def open_streams(
    station: PageStation, count: int
) -> tuple[threading.Event, list[threading.Thread], list[int]]:
    """Clients that read the stream and fetch pictures as the server's messages tell them to."""
    over, read = threading.Event(), [0] * count
    parts = urlsplit(station.address)

    def look(place: int) -> None:
        with socket.create_connection((str(parts.hostname), int(parts.port or 0)), 10) as line:
            line.sendall(b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            line.settimeout(0.5)
            while not over.is_set():
                try:
                    read[place] += len(line.recv(65_536))
                except TimeoutError:
                    continue

    threads = [threading.Thread(target=look, args=(place,), daemon=True) for place in range(count)]
    for thread in threads:
        thread.start()
    return over, threads, read


@pytest.mark.fault(Fault.PAGE)
def test_many_pages_are_served_and_more_are_refused(station: PageStation) -> None:
    over, threads, read = open_streams(station, 260)
    try:
        ends_s = time.monotonic() + 30
        while not all(read) and time.monotonic() < ends_s:
            time.sleep(0.05)
        assert all(read), "every client is answered"
        assert httpx.get(f"{station.address}api/stream", timeout=10).status_code == 503
        started_s = time.monotonic()
        assert httpx.get(f"{station.address}api/state", timeout=10).status_code == 200
        assert time.monotonic() - started_s < 5
    finally:
        over.set()
        for thread in threads:
            thread.join(10)


def test_it_ends_in_time_with_pages_open(tmp_path: Path) -> None:
    with page_station(tmp_path) as started:
        over, threads, read = open_streams(started, 20)
        ends_s = time.monotonic() + 10
        while not all(read) and time.monotonic() < ends_s:
            time.sleep(0.05)
        begun_s = time.monotonic()
        started.server.close()
        assert time.monotonic() - begun_s < 2
        over.set()
        for thread in threads:
            thread.join(5)


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    state, control = running_station()
    Journal(tmp_path / "journal.sqlite").close()
    with (
        socket.create_server(("127.0.0.1", 0)) as holder,
        JournalReader(tmp_path / "journal.sqlite") as journal,
    ):
        section = WebSection(port=holder.getsockname()[1])
        with pytest.raises(SemedgeError, match=r"127\.0\.0\.1 port \d+ \(Address"):
            PageServer(section, state, request_handler_of(control), journal, tmp_path)


def test_a_journal_that_cannot_be_read_leaves_the_page_without_events(tmp_path: Path) -> None:
    with page_station(tmp_path) as started:
        event_id = started.raise_event(started.inspect(14.0)).event_id
        with httpx.Client(base_url=started.address, timeout=5, trust_env=False) as client:
            assert client.get(f"/pictures/{event_id}/overlay.png").status_code == 200
            with closing(sqlite3.connect(started.control.journal_file)) as connection:
                connection.execute("ALTER TABLE events RENAME TO gone")
            assert client.get(f"/pictures/{event_id}/overlay.png").status_code == 404
            messages = stream(client)
            assert next(messages)[0] == "state"
            assert next(messages) == ("events", [])
            messages.close()  # type: ignore[attr-defined]


@pytest.mark.fault(Fault.PART)
def test_a_fault_ends_neither_the_stream_nor_stays_unseen(
    client: httpx.Client, station: PageStation
) -> None:
    messages = stream(client)
    assert next(messages)[0] == "state"
    station.control.fault = OSError(116, "Stale file handle")
    wait_until(lambda: client.get("/readyz").status_code == 503)
    assert client.get("/readyz").json()["faults"] == {
        "stream of the page": "[Errno 116] Stale file handle"
    }
    station.control.fault = None
    wait_until(lambda: client.get("/readyz").status_code == 200)
    kinds = [next(messages)[0] for _ in range(3)]
    assert "state" in kinds


@pytest.mark.fault(Fault.PART)
def test_a_server_that_ends_by_itself_is_started_again(
    client: httpx.Client, station: PageStation
) -> None:
    station.server._server.should_exit = True
    wait_until(lambda: "page" in station.state.snapshot().faults)

    def answers() -> bool:
        try:
            return httpx.get(f"{station.address}healthz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(answers)

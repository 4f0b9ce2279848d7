"""The page's server: what it shows, what it refuses, and that it holds up nobody."""

from __future__ import annotations

import http.client
import json
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np
import pytest
from faults import Fault
from page_support import TOKEN, PageStation, page_station
from scripted import wait_until
from sinks_support import EVENT
from station_support import request_handler_of, running_station

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.inference.grid import PatchGrid
from semedge.inference.score_map import ScoreMap
from semedge.journal.journal import Journal
from semedge.journal.reader import JournalReader
from semedge.journal.records import Counters
from semedge.state.snapshot import DiskState, Inspected
from semedge.web.broadcast import Broadcast
from semedge.web.pictures import DRAW_EVERY_S
from semedge.web.section import WebSection
from semedge.web.server import PageServer

RIGHT = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStation]:
    with page_station(tmp_path_factory.mktemp("page")) as started:
        yield started


@pytest.fixture
def client(station: PageStation) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=station.address, timeout=5, trust_env=False) as opened:
        yield opened


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


def test_the_page_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    # Relative, so that the page works below any path of a proxy.
    assert set(named) == {
        *("icon.svg", "page.css", "teach.css", "page.js"),
        *("#live", "#history", "#teach", "api/history.csv"),
    }
    files = {name for name in named if name.endswith((".svg", ".css", ".js"))}
    waiting = set(files)
    while waiting:
        answer = client.get(waiting.pop())
        assert answer.status_code == 200
        text = answer.text.replace("http://www.w3.org/2000/svg", "")
        imported = set(re.findall(r'^import .* from "\./([^"]+)";$', text, re.MULTILINE)) - files
        files |= imported
        waiting |= imported
        assert "http:" not in text
        assert "https:" not in text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert page.headers["x-content-type-options"] == "nosniff"


def test_the_state(client: httpx.Client) -> None:
    state = client.get("/api/state").json()
    assert state["station"] == "Fibre line 1"
    assert state["cameras"]["top"]["alarm_level"] == 9.8
    assert state["verdict"] == "good"


def test_the_live_frame(client: httpx.Client, station: PageStation) -> None:
    time.sleep(2 * DRAW_EVERY_S)
    last = station.inspect(14.0)
    frame = client.get("/live/top/frame.jpg")
    heat = client.get("/live/top/heat.jpg")
    assert frame.headers["x-sequence"] == str(last.frame.sequence)
    facts = json.loads(frame.headers["x-frame"])
    assert facts["sequence"] == last.frame.sequence
    assert (facts["score"], facts["level"]) == (14.0, "alarm")
    shown = cv2.imdecode(np.frombuffer(frame.content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert shown.shape == last.frame.shape
    outside = np.ones(shown.shape, bool)
    outside[:160, :120] = False
    difference = np.abs(shown.astype(float) - last.frame.image)[outside]
    assert difference.mean() < 8, "the same picture but for the JPEG"
    assert heat.content != frame.content
    assert client.get("/live/side/frame.jpg").status_code == 404
    assert client.get("/live/top/other.jpg").status_code == 422


def test_the_picture_is_that_of_the_message(client: httpx.Client, station: PageStation) -> None:
    messages = stream(client)
    for kind, message in messages:
        if kind == "state":
            sent = message["state"]["cameras"]["top"]["sequence"]
            break
    time.sleep(2 * DRAW_EVERY_S)
    station.inspect(14.0)
    answer = client.get(f"/live/top/frame.jpg?frame={sent}")
    assert answer.headers["x-sequence"] == str(sent), "although a newer one was inspected"
    messages.close()  # type: ignore[attr-defined]


def test_a_large_frame_is_shown_whole_on_request(tmp_path: Path) -> None:
    with page_station(tmp_path) as station:
        image = np.full((900, 1600), 90, np.uint8)
        grid = PatchGrid((900, 1600), 64, 64)
        scores = np.zeros(len(grid), np.float32)
        last = Inspected(Frame(image, 1), ScoreMap(grid, scores, {}), None, {"total": 1.0})
        station.state.inspected("top", last, Counters(1, 1))
        widths = []
        for size in ("screen", "full"):
            content = httpx.get(f"{station.address}live/top/frame.jpg?size={size}").content
            widths.append(cv2.imdecode(np.frombuffer(content, np.uint8), 0).shape[1])
    assert widths == [1280, 1600]


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


def test_the_stream_begins_with_the_history_and_goes_on(
    client: httpx.Client, station: PageStation
) -> None:
    messages = stream(client)
    kind, first = next(messages)
    assert kind == "state"
    assert first["whole"]
    assert len(first["scores"]["top"]) == station.number
    assert first["recipes"] == ["fibre", "tile", "broken"]
    kind, events = next(messages)
    assert kind == "events"
    assert [event["level"] for event in events] == ["warn", "alarm", "alarm"]
    assert events[0]["overlay_picture"] is True, "no path of this machine"
    last = station.inspect(11.5)
    station.state.change("top", activity="not inspecting", reason="The picture is frozen.")
    try:
        for kind, message in messages:
            if kind == "state" and message["state"]["verdict"] == "not inspecting":
                break
        assert message["scores"]["top"][-1][1:] == [11.5, "alarm", station.number]
        assert message["state"]["cameras"]["top"]["sequence"] == last.frame.sequence
    finally:
        station.state.change("top", activity="inspecting", reason="")
        messages.close()  # type: ignore[attr-defined]


def test_an_event_does_not_wait_for_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Broadcast, "every_s", 60.0)
    monkeypatch.setattr("semedge.web.broadcast.SOONEST", 0.0)
    with (
        page_station(tmp_path) as station,
        httpx.Client(base_url=station.address, timeout=10, trust_env=False) as viewer,
    ):
        messages = stream(viewer)
        next(messages), next(messages)
        event = station.raise_event(station.inspect(14.0))
        kind, state = next(messages)
        assert (kind, state["state"]["verdict"]) == ("state", "alarm")
        kind, events = next(messages)
        assert (kind, events[0]["event_id"]) == ("events", event.event_id)
        messages.close()  # type: ignore[attr-defined]


def test_the_picture_of_an_event(client: httpx.Client, station: PageStation) -> None:
    event = station.raise_event(station.inspect(13.0))
    answer = client.get(f"/pictures/{event.event_id}/overlay.png")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert event.overlay_picture is not None
    assert answer.content == Path(event.overlay_picture).read_bytes()
    assert client.get(f"/pictures/{event.event_id}/frame.png").status_code == 404


def test_the_defect_of_an_event_is_cut_out(client: httpx.Client, station: PageStation) -> None:
    event = station.raise_event(station.inspect(13.0))
    answer = client.get(f"/pictures/{event.event_id}/defect.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    crop = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert crop.shape == (300, 400, 3)
    blue, green, red = (crop[..., each].astype(int) for each in range(3))
    outlined = np.argwhere((green - blue > 60) & (green - red > 60))
    assert abs(outlined[:, 0].mean() - 150) < 30, "in the middle, as far as the frame reaches"
    assert np.ptp(outlined[:, 0]) > 300 / 5, "large enough to be seen"
    assert client.get(f"/pictures/{'e' * 32}/defect.jpg").status_code == 404


@pytest.mark.fault(Fault.PAGE)
def test_a_picture_outside_of_the_folder_is_not_shown(
    client: httpx.Client, station: PageStation
) -> None:
    secret = station.folder / "token"
    stored = station.journal.add_event(
        replace(EVENT, event_id="f" * 32, overlay_picture=str(secret)), []
    )
    assert client.get(f"/pictures/{stored.event_id}/overlay.png").status_code == 404


@pytest.mark.fault(Fault.PAGE)
@pytest.mark.parametrize(
    "path",
    [
        "/../../../etc/passwd",
        "/..%2f..%2f..%2fetc/passwd",
        "/pictures/../../../../etc/passwd",
        "/pictures/%2e%2e%2f%2e%2e%2fetc%2fpasswd/overlay.png",
        "/static/../server.py",
        "/page.css/../../server.py",
        "/live/..%2f..%2ftoken/frame.jpg",
        "//etc/passwd",
        "/token",
        "/openapi.json",
        "/docs",
    ],
)
def test_no_path_leads_elsewhere(station: PageStation, path: str) -> None:
    status, body = raw(station, "GET", path)
    assert status in (404, 422)
    assert b"root:" not in body
    assert TOKEN.encode() not in body


def test_a_name_that_is_not_the_pages_is_not_answered(station: PageStation) -> None:
    status, body = raw(station, "GET", "/api/state", Host="evil.example")
    assert status == 421
    assert b"evil.example" in body
    assert raw(station, "GET", "/api/state", Host="localhost:1")[0] == 200


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


def test_ready_only_while_every_camera_inspects_and_is_qualified(
    client: httpx.Client, station: PageStation
) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").status_code == 200
    station.state.change("top", activity="not inspecting", reason="No frame for 10 s.")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["not_inspecting"] == {"top": "No frame for 10 s."}
    station.state.change("top", activity="inspecting", reason="")
    station.state.change_station(qualified=False)
    assert client.get("/readyz").status_code == 503
    assert client.get("/api/state").json()["verdict"] == "not inspecting"
    station.state.change_station(qualified=True)
    assert client.get("/readyz").status_code == 200


def test_the_metrics(client: httpx.Client, station: PageStation) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    station.state.change_station(disk=DiskState(5_000_000, pictures_stopped=True))
    text = client.get("/metrics").text
    station.state.change_station(disk=DiskState())
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    top = ("camera", "top")
    assert samples["semedge_frames_total", top, ("outcome", "inspected")] == station.number
    assert samples["semedge_frames_total", top, ("outcome", "lost")] == 0
    assert samples["semedge_inspecting", top] == 1
    assert samples["semedge_level", top, ("level", "warn")] == 8
    assert samples["semedge_latency_seconds", top, ("quantile", "0.5"), ("stage", "score")] == (
        pytest.approx(0.041)
    )
    assert samples["semedge_score_quantile", top, ("quantile", "0.5")] > 0
    assert samples["semedge_disk_free_bytes",] == 5_000_000
    assert samples["semedge_disk_left_out", ("what", "pictures")] == 1
    assert samples["process_resident_memory_bytes",] > 0


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

"""The page's server: what it shows, what it refuses, and that it holds up nobody."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from faults import Fault
from page_client import raw, stream
from page_support import TOKEN, PageStation, page_station
from sinks_support import EVENT

from semedge.core.frame import Frame
from semedge.core.images import to_gray
from semedge.inference.grid import PatchGrid
from semedge.inference.score_map import ScoreMap
from semedge.journal.records import Counters
from semedge.state.snapshot import DiskState, Inspected
from semedge.web.broadcast import Broadcast
from semedge.web.pictures import DRAW_EVERY_S


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


@pytest.mark.parametrize("view", ["plain", "frame"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_frame_in_colour_is_shown_in_colour(tmp_path: Path, dtype: type, view: str) -> None:
    with page_station(tmp_path) as station:
        colours = np.full((96, 128, 3), 0.4 * np.iinfo(dtype).max, dtype)
        colours[:48, :, 2] *= 2
        grid = PatchGrid((96, 128), 16, 16)
        frame = Frame(to_gray(colours), 1, colours=colours)
        last = Inspected(
            frame, ScoreMap(grid, np.zeros(len(grid), np.float32), {}), None, {"total": 1.0}
        )
        station.state.inspected("top", last, Counters(1, 1))
        content = httpx.get(f"{station.address}live/top/{view}.jpg?size=full").content
        shown = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).astype(int)
    assert shown.shape == (96, 128, 3)
    assert (shown[8:40, 8:120, 2] > shown[8:40, 8:120, 0] + 60).all(), "red above"
    assert np.abs(np.ptp(shown[56:88, 8:120], axis=-1)).max() < 12, "gray below"


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

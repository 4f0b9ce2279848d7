"""The last frames and the marked ones, as the page gets them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from page_client import RIGHT
from page_support import SHAPE, PageStation, page_station
from station_support import LEVELS

from semedge.core.event import Event


@pytest.fixture
def station(tmp_path: Path) -> Iterator[PageStation]:
    with page_station(tmp_path) as started:
        yield started


@pytest.fixture
def client(station: PageStation) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=station.address, timeout=10, trust_env=False) as opened:
        yield opened


def ask(client: httpx.Client, **request: Any) -> httpx.Response:
    return client.post("/api/ask", json={"action": "mark", "who": "Ann", **request}, headers=RIGHT)


def newest(client: httpx.Client, **parameters: Any) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = client.get("/api/frames", params=parameters).json()["frames"]
    return frames


def event_of(station: PageStation, score: float = 13.0) -> Event:
    """An alert about the frame that was inspected last."""
    last = station.inspect(score)
    return station.raise_event(last, sequence=last.frame.sequence, camera="top")


def shape_of(picture: httpx.Response) -> tuple[int, ...]:
    assert picture.headers["content-type"] == "image/jpeg"
    decoded = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_UNCHANGED)
    return tuple(decoded.shape)


def test_the_last_frames_are_listed_with_their_marks_and_pictures(
    station: PageStation, client: httpx.Client
) -> None:
    last = station.inspect(8.5)
    document = client.get("/api/frames").json()
    assert document["most_frames"] == 200
    assert document["held_until"] is None
    first = document["frames"][0]
    assert first == {
        "id": first["id"],
        "camera": "top",
        "captured_at": first["captured_at"],
        "sequence": last.frame.sequence,
        "width_px": SHAPE[1],
        "height_px": SHAPE[0],
        "score": 8.5,
        "level": "warn",
        "verdict": "warn",
        "alarm_level": LEVELS.alarm,
        "recipe": "fibre",
        "event_id": None,
        "mark": None,
    }
    assert client.get("/api/state").json()["cameras"]["top"]["frame_id"] == first["id"]
    assert newest(client, camera="side") == []
    assert shape_of(client.get(f"/frames/{first['id']}/frame.jpg")) == SHAPE
    assert shape_of(client.get(f"/frames/{first['id']}/thumbnail.jpg")) == (192, 240)
    answer = ask(client, frame=first["id"], mark="missed", note="a scratch")
    assert answer.status_code == 200, answer.text
    mark = newest(client)[0]["mark"]
    assert (mark["mark"], mark["who"], mark["note"]) == ("missed", "page: Ann", "a scratch")
    assert ask(client, frame=first["id"], mark="none").status_code == 200
    assert newest(client)[0]["mark"] is None


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/frames/top-20200101T000000.000000-3/frame.jpg", 404),
        ("/frames/nothing/frame.jpg", 422),
        ("/frames/top-20200101T000000.000000-3/whole.jpg", 422),
        ("/frames/..%2F..%2Ftoken/frame.jpg", 404),
        ("/api/frames?hold=perhaps", 422),
    ],
)
def test_other_pictures_are_none(client: httpx.Client, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_frames_that_are_held_can_be_marked_after_the_ring_has_wrapped(
    station: PageStation, client: httpx.Client
) -> None:
    station.inspect(5.0)
    held = client.get("/api/frames", params={"hold": True}).json()
    assert held["held_until"] > held["frames"][0]["captured_at"]
    oldest, second = held["frames"][0]["id"], held["frames"][1]["id"]
    for _ in range(205):
        station.inspect(4.0)
    assert len(newest(client)) == 200
    assert oldest not in {each["id"] for each in newest(client)}
    assert client.get(f"/frames/{oldest}/thumbnail.jpg").status_code == 200
    assert ask(client, frame=oldest, mark="missed").status_code == 200
    client.get("/api/frames", params={"hold": True})
    gone = ask(client, frame=second, mark="missed")
    assert gone.status_code == 422
    assert "no longer among the last 200 frames" in gone.json()["detail"]
    # What is marked is kept for good.
    assert client.get(f"/frames/{oldest}/frame.jpg").status_code == 200


def test_a_marked_alert_is_shown_everywhere(station: PageStation, client: httpx.Client) -> None:
    event = event_of(station)
    picture = f"/pictures/{event.event_id}/frame.png"
    assert client.get(picture).status_code == 404
    assert client.get("/api/marks").json()["counts"] == {"real": 0, "false-alarm": 0, "missed": 0}
    answer = ask(client, event_id=event.event_id, mark="false-alarm", note="dust")
    assert answer.status_code == 200, answer.text
    document = client.get("/api/marks").json()
    assert document["counts"] == {"real": 0, "false-alarm": 1, "missed": 0}
    assert 0 < document["bytes"] < document["most_bytes"]
    (kept,) = document["frames"]
    assert (kept["event_id"], kept["mark"], kept["note"]) == (event.event_id, "false-alarm", "dust")
    assert kept["marked_by"] == "page: Ann"
    # The picture of the frame is that which is kept, where the alert has none.
    assert client.get(picture).status_code == 200
    with httpx.stream("GET", f"{station.address}api/stream", timeout=10) as stream:
        begun_s = time.monotonic()
        for line in stream.iter_lines():
            assert time.monotonic() - begun_s < 10
            if line.startswith("data: ["):
                assert '"mark":{"mark":"false-alarm"' in line
                assert '"note":"dust"' in line
                break


def test_who_may_not_mark_marks_nothing(station: PageStation, client: httpx.Client) -> None:
    event = event_of(station)
    request = {"action": "mark", "event_id": event.event_id, "mark": "real"}
    assert client.post("/api/ask", json=request).status_code == 401
    wrong = {"Authorization": "Bearer wrong"}
    assert client.post("/api/ask", json=request, headers=wrong).status_code == 401
    assert ask(client, event_id="0" * 32, mark="real").status_code == 422
    assert client.get("/api/marks").json()["frames"] == []

"""What the tab Teach asks of the server, and who may ask it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from faults import Fault
from page_support import TOKEN, PageStation, page_station
from teaching_support import SHAPE, PlayedCamera

ENGINEER = {"Authorization": f"Bearer {TOKEN}"}
OPERATOR = {"Authorization": "Bearer the operator's word"}
COLLECT = {"action": "collect", "name": "film", "frames": 4, "who": "Ann"}


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStation]:
    camera = PlayedCamera()
    folder = tmp_path_factory.mktemp("page")
    with (
        page_station(folder, taught=camera, operator="the operator's word") as started,
        camera.playing(),
    ):
        yield started


@pytest.mark.fault(Fault.PAGE)
@pytest.mark.parametrize(("headers", "status"), [({}, 401), (OPERATOR, 403)])
def test_only_an_engineer_teaches(
    client: httpx.Client, headers: dict[str, str], status: int
) -> None:
    assert client.post("/api/teach", json=COLLECT, headers=headers).status_code == status
    answer = client.post("/api/teach/sample", content=b"x", headers=headers)
    assert answer.status_code == status
    assert client.get("/api/teach").json()["phase"] == "idle"


def test_a_lesson_is_begun_seen_and_ended(client: httpx.Client) -> None:
    answer = client.post("/api/teach", json=COLLECT, headers=ENGINEER)
    assert answer.status_code == 200, answer.text
    assert "the inspection goes on" in answer.json()["message"]
    until_s = time.monotonic() + 20
    while (lesson := client.get("/api/teach").json())["phase"] != "collected":
        assert time.monotonic() < until_s
        time.sleep(0.05)
    assert lesson["lesson"]["who"] == "page: Ann"
    assert lesson["frames"] == [0, 1, 2, 3]
    picture = client.get("/teach/2.jpg")
    assert picture.headers["content-type"] == "image/jpeg"
    shown = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert shown.shape == SHAPE
    assert client.get("/teach/9.jpg").status_code == 404
    assert client.get("/teach/..%2flesson.json").status_code in (404, 422)
    assert client.get("/teach/sheet.png").status_code == 404
    answer = client.post("/api/teach/sample?name=a.png", content=b"x", headers=ENGINEER)
    assert answer.status_code == 422
    assert "Nothing was learned yet" in answer.json()["detail"]
    other = client.post("/api/teach", json={**COLLECT, "who": "Bob"}, headers=ENGINEER)
    assert other.status_code == 422
    assert other.json()["detail"].startswith("Ann teaches film here")
    ended = client.post("/api/teach", json={"action": "discard", "who": "Ann"}, headers=ENGINEER)
    assert ended.status_code == 200
    assert client.get("/api/teach").json()["phase"] == "idle"


@pytest.mark.fault(Fault.PAGE)
def test_a_sample_that_is_too_large_is_refused(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semedge.web.teaching.LARGEST_SAMPLE_BYTES", 1000)
    answer = client.post("/api/teach/sample", content=b"x" * 2000, headers=ENGINEER)
    assert answer.status_code == 413


def test_a_station_that_inspects_nothing_teaches_nothing(tmp_path: Path) -> None:
    with page_station(tmp_path) as started:
        assert not httpx.get(f"{started.address}api/teach").json()["available"]
        answer = httpx.post(f"{started.address}api/teach", json=COLLECT, headers=ENGINEER)
        assert answer.status_code == 422
        assert httpx.get(f"{started.address}teach/0.jpg").status_code == 404

"""Regions that are left out, as the page reads and changes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from page_client import RIGHT
from page_support import PageStation, images, page_station

from semedge.cameras import CameraSettings
from semedge.core.shown import Shown

OPERATOR = "the operator's word"
CLOCK = [4, 4, 90, 20]


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStation]:
    with page_station(tmp_path_factory.mktemp("page"), operator=OPERATOR) as started:
        yield started


def test_an_engineer_changes_what_is_left_out(client: httpx.Client, station: PageStation) -> None:
    before = client.get("/api/regions", params={"camera": "top"}).json()
    assert before == {
        "leave_out_px": [],
        "drawn": False,
        "masked": False,
        "reach_px": 0,
        "shown_px": [0, 0, 320, 256],
    }
    request = {"action": "regions", "camera": "top", "leave_out_px": [CLOCK], "who": "R. Weiss"}
    answer = client.post("/api/ask", json=request, headers=RIGHT)
    assert answer.json() == {
        "message": "Camera top leaves out 90x20 px at x=4 y=4; 75% of the picture is inspected. "
        "Before: nothing."
    }
    assert station.control.requests[-1] == ("regions", "top", (tuple(CLOCK),), "page: R. Weiss")
    after = client.get("/api/regions", params={"camera": "top"}).json()
    assert after == {**before, "leave_out_px": [CLOCK], "drawn": True}
    assert client.get("/api/state").json()["cameras"]["top"]["regions_drawn"]


@pytest.mark.parametrize(
    ("leave_out_px", "reason"),
    [
        ([[0, 0, 0, 5]], "leave_out_px.0.2: input should be greater than 0"),
        ([[-1, 0, 5, 5]], "leave_out_px.0.0: input should be greater than or equal to 0"),
        ([[0, 0, 5]], "leave_out_px.0.3: field required"),
        ([[0, 0, 5, 5.5]], "leave_out_px.0.3: input should be a valid integer"),
        ([[0, 0, 5, "wide"]], "leave_out_px.0.3: input should be a valid integer"),
        ("all", "leave_out_px: input should be a valid tuple"),
        (None, "leave_out_px: input should be a valid tuple"),
    ],
)
def test_what_is_no_rectangle_is_refused(
    client: httpx.Client, station: PageStation, leave_out_px: Any, reason: str
) -> None:
    before = list(station.control.requests)
    request = {"action": "regions", "camera": "top", "leave_out_px": leave_out_px}
    answer = client.post("/api/ask", json=request, headers=RIGHT)
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]
    assert station.control.requests == before


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("wrong", 401), (OPERATOR, 403)])
def test_only_an_engineer_may(
    client: httpx.Client, station: PageStation, token: str | None, status: int
) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    before = [each for each in station.control.requests if each[0] == "regions"]
    request = {"action": "regions", "camera": "top", "leave_out_px": [CLOCK]}
    assert client.post("/api/ask", json=request, headers=headers).status_code == status
    assert [each for each in station.control.requests if each[0] == "regions"] == before


def test_the_part_of_a_cropped_frame_is_known(client: httpx.Client, station: PageStation) -> None:
    last = station.inspect(4.0)
    cropped = replace(last.frame, shown=Shown((300, 330), (4, 40, 7, 3)))
    view = CameraSettings(leave_out_mask=Path("mask.png"))
    station.state.inspected(
        "top",
        replace(last, frame=cropped, view=view),
        station.state.snapshot().cameras["top"].counters,
    )
    document = client.get("/api/regions", params={"camera": "top"}).json()
    assert (document["shown_px"], document["masked"]) == ([7, 4, 320, 256], True)
    assert client.get("/api/regions", params={"camera": "side"}).status_code == 404


def test_the_picture_to_draw_on_shows_nothing_but_the_frame(
    client: httpx.Client, station: PageStation
) -> None:
    last = station.inspect(14.0)
    answer = client.get("/live/top/plain.jpg", params={"frame": last.frame.sequence})
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (256, 320, 3)
    assert np.abs(picture.astype(int) - images()[last.frame.sequence % 6][..., None]).mean() < 6

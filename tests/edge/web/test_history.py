"""The history of the page: filters, pages, the table, and the counts by hour."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from page_support import PageStation, page_station

from semedge.web.history import EVENTS_A_PAGE


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStation]:
    with page_station(tmp_path_factory.mktemp("page")) as started:
        for number in range(EVENTS_A_PAGE + 5):
            last = started.inspect(12.0 + number / 100)
            started.raise_event(last)
            started.raise_event(last, phase="end", message=f"Over, number {number}.")
        started.raise_event(started.inspect(9.0), kind="health", code="frozen", level="alarm")
        yield started


def events(client: httpx.Client, **filters: Any) -> tuple[list[dict[str, Any]], bool]:
    answer = client.get("/api/history", params=filters)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    return document["events"], document["more"]


def test_an_event_is_one_entry_with_its_newest_message(client: httpx.Client) -> None:
    found, more = events(client, kind="defect")
    assert more
    assert len({event["event_id"] for event in found}) == len(found) == EVENTS_A_PAGE
    assert all(event["phase"] == "end" for event in found)
    assert found[0]["overlay_picture"] is True, "no path of this machine"


def test_pages_follow_each_other_without_a_gap(client: httpx.Client) -> None:
    first, _ = events(client)
    second, more = events(client, before=first[-1]["number"])
    numbers = [event["number"] for event in (*first, *second)]
    assert numbers == sorted(set(numbers), reverse=True)
    assert len(numbers) == EVENTS_A_PAGE + 9
    assert not more


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"kind": "health"}, 1),
        ({"level": "warn"}, 1),
        ({"camera": "side"}, 0),
        ({"since": "2999-01-01"}, 0),
        ({"until": "2001-01-01"}, 0),
        ({"kind": "defect", "level": "warn", "since": "1h"}, 1),
    ],
)
def test_filters(client: httpx.Client, filters: dict[str, str], count: int) -> None:
    assert len(events(client, **filters)[0]) == count


@pytest.mark.parametrize(
    "filters", [{"since": "yesterday"}, {"kind": "fire"}, {"before": "0"}, {"camera": "x" * 99}]
)
def test_a_filter_that_is_wrong_is_refused(client: httpx.Client, filters: dict[str, str]) -> None:
    answer = client.get("/api/history", params=filters)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_the_table(client: httpx.Client) -> None:
    answer = client.get("/api/history.csv", params={"kind": "health"})
    assert answer.headers["content-disposition"].startswith('attachment; filename="semedge-events')
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["code"] for row in rows] == ["frozen"]


def test_the_counts_by_hour(client: httpx.Client) -> None:
    hours = client.get("/api/hours").json()["hours"]
    assert {each["camera"] for each in hours} == {"top"}
    assert sum(each["frames"] for each in hours) == 240
    assert sum(each["alarms"] for each in hours) == 2 + EVENTS_A_PAGE + 5
    assert sum(each["warnings"] for each in hours) == 1


def test_a_viewers_token_is_needed_where_there_is_one(tmp_path: Path) -> None:
    with page_station(tmp_path, viewer="the viewer's word") as station:
        for path in ("api/history", "api/history.csv", "api/hours"):
            assert httpx.get(f"{station.address}{path}").status_code == 401

"""`semedge mark`: with a station that runs, and with the journal of one that does not."""

from __future__ import annotations

import getpass
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import pytest
from bundles import normal_frames, with_film
from commandcall import Call
from page_support import TOKEN, PageStation, page_station
from recipes import make_recipe

from semedge.journal.marked_frames import MarkedFrames

NO_EVENT = "0" * 32


@pytest.fixture
def folder(call: Call, tmp_path: Path) -> Path:
    """A station that has watched three frames, one of them with a film."""
    make_recipe(tmp_path / "fibre.recipe")
    (tmp_path / "line").mkdir()
    normal = normal_frames()[0]
    for number, image in enumerate((normal, with_film(normal), normal)):
        cv2.imwrite(str(tmp_path / "line" / f"{number}.png"), image)
    (tmp_path / "semedge.toml").write_text(
        '[camera]\nsource = "line"\n[recipe]\nfile = "fibre.recipe"\n'
        '[journal]\nfile = "line.sqlite"\npictures = "pictures"\n'
    )
    watched = call("watch", "--station", "semedge.toml")
    assert watched.status == 0, watched.err
    return tmp_path


def rows(folder: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(folder / "line.sqlite")) as connection:
        return connection.execute(query).fetchall()


def event_of(folder: Path) -> str:
    return str(rows(folder, "SELECT event_id FROM events WHERE kind = 'defect'")[0][0])


def test_an_alert_is_marked_in_the_journal_of_a_station_that_does_not_run(
    call: Call, folder: Path
) -> None:
    event_id = event_of(folder)
    marked = call(
        *("mark", event_id, "--false-alarm", "--station", "semedge.toml", "--note", "a label")
    )
    assert marked.status == 0, marked.err
    assert f"Event {event_id} is marked as a false alarm, and its frame is kept." in marked.err
    (kept,) = MarkedFrames(folder / "pictures").all()
    assert (kept.event_id, kept.note) == (event_id, "a label")
    assert kept.marked_by == f"mark: {getpass.getuser()}"
    again = call("mark", event_id, "--real", "--station", "semedge.toml", "--who", "R. Weiss")
    assert again.status == 0, again.err
    shown = call("history", "--station", "semedge.toml", "--json")
    (event, *_) = [each for each in json.loads(shown.out)["events"] if each["kind"] == "defect"]
    assert (event["mark"], event["marked_by"]) == ("real", "mark: R. Weiss")
    shown = call("history", "marks", "--station", "semedge.toml")
    assert [line.split("  ")[3] for line in shown.out.splitlines()] == ["false-alarm", "real"]
    table = call("history", "--station", "semedge.toml", "--out", "events.csv")
    assert table.status == 0
    head, first, *_ = (folder / "events.csv").read_text().splitlines()
    assert head.endswith(",mark,marked_at,marked_by,mark_note")
    assert ",real," in first
    back = call("mark", event_id, "--take-back", "--station", "semedge.toml")
    assert back.status == 0
    assert MarkedFrames(folder / "pictures").all() == []


def test_a_journal_and_pictures_stand_for_a_station_file(call: Call, folder: Path) -> None:
    event_id = event_of(folder)
    files = ("--journal", "line.sqlite", "--pictures", "pictures")
    assert call("mark", event_id, "--real", *files).status == 0
    assert rows(folder, "SELECT mark FROM marks") == [("real",)]


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ((NO_EVENT, "--real"), 1, f"There is no event '{NO_EVENT}' in the journal"),
        (("camera-20200101T000000.000000-1", "--missed"), 1, "only a running station has its last"),
        ((NO_EVENT,), 2, "Give --real, --false-alarm, --missed or --take-back."),
        ((NO_EVENT, "--missed"), 2, "only a frame is missed"),
        (("camera-20200101T000000.000000-1", "--real"), 2, "can only be missed"),
        (("7", "--real"), 2, "Received: '7'"),
        (("../x", "--missed"), 2, "32 hexadecimal digits, or a frame such as"),
        ((NO_EVENT, "--real", "--note", "x" * 501), 2, "at most 500 characters"),
        ((NO_EVENT, "--real", "--station", "other.toml"), 1, "other.toml cannot be read"),
    ],
)
def test_a_wrong_mark_is_refused(
    call: Call, folder: Path, arguments: tuple[str, ...], status: int, reason: str
) -> None:
    refused = call("mark", "--station", "semedge.toml", *arguments)
    assert refused.status == status
    assert reason in refused.err
    assert rows(folder, "SELECT count(*) FROM marks") == [(0,)]


def test_a_journal_that_does_not_exist_is_not_made(call: Call, tmp_path: Path) -> None:
    refused = call("mark", NO_EVENT, "--real", "--journal", "none.sqlite")
    assert refused.status == 1
    assert "There is no journal none.sqlite yet" in refused.err
    assert not (tmp_path / "none.sqlite").exists()


class TestWithAPage:
    """A station that runs is asked, since it has the whole frames."""

    @pytest.fixture
    def station(self, tmp_path: Path) -> Iterator[PageStation]:
        with page_station(tmp_path, operator="operator's word") as started:
            port = urlsplit(started.address).port
            (tmp_path / "semedge.toml").write_text(
                f"[web]\nport = {port}\noperator_token = {{ file = 'operator_token' }}\n"
                "[journal]\nfile = 'journal.sqlite'\npictures = 'pictures'\n"
            )
            yield started

    def test_frames_and_alerts_are_marked_by_the_station(
        self, call: Call, station: PageStation
    ) -> None:
        frame = station.state.recent.newest_first()[0].frame_id
        marked = call("mark", frame, "--missed", "--station", "semedge.toml", "--who", "Ann")
        assert marked.status == 0, marked.err
        assert f"Frame {frame} is marked as a missed defect, and kept." in marked.err
        assert station.control.requests[-1] == ("mark", frame, "missed", "", "page: Ann")
        refused = call("mark", NO_EVENT, "--real", "--station", "semedge.toml")
        assert refused.status == 1
        assert "There is no event" in refused.err

    def test_where_it_does_not_respond_the_journal_is_written(
        self, call: Call, station: PageStation
    ) -> None:
        last = station.inspect(13.0)
        event = station.raise_event(last, sequence=last.frame.sequence, camera="top")
        frame = station.state.recent.newest_first()[1].frame_id
        station.server.close()
        marked = call("mark", event.event_id, "--real", "--station", "semedge.toml")
        assert marked.status == 0, marked.err
        assert "No station responds" in marked.err
        assert "it has no picture any more" in marked.err
        refused = call("mark", frame, "--missed", "--station", "semedge.toml")
        assert refused.status == 1
        assert "No station responds" in refused.err

    def test_the_token_is_not_written_anywhere(self, call: Call, station: PageStation) -> None:
        marked = call("mark", NO_EVENT, "--real", "--station", "semedge.toml")
        assert "operator's word" not in marked.err
        assert TOKEN not in marked.err

"""Alerts and frames are marked: the mark is on record, and the frame is kept as it was taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from faults import Fault
from numpy.typing import NDArray
from scripted import Collector, ScriptedCamera
from watch_bench import FILMED, NORMAL, WatchBench

from semedge.core.errors import SemedgeError
from semedge.core.view import FrameView, ViewSettings
from semedge.journal.journal import Journal
from semedge.journal.marked_frames import MarkedFrame, MarkedFrames
from semedge.journal.query import Query
from semedge.journal.reader import JournalReader
from semedge.state.requests import MarkRequest, RequestHandler
from semedge.station.marking import Marker, MarkSettings
from semedge.station.recorder import new_event
from semedge.station.retention import Retention, RetentionSettings
from semedge.station.watch import Watch

NO_EVENT = "0123456789abcdef" * 2


def ask(watch: Watch, who: str = "page: Ann", **request: Any) -> str:
    return RequestHandler(watch.state, watch.control).handle({"action": "mark", **request}, who)


def marks(bench: WatchBench) -> list[tuple]:
    return bench.rows("SELECT mark, who, event_id, frame, note FROM marks ORDER BY mark_id")


def kept_in(bench: WatchBench) -> list[MarkedFrame]:
    return MarkedFrames(bench.folder / "pictures").all()


class Marking:
    """Runs a watch whose script does something once the frames before were judged."""

    def __init__(self, bench: WatchBench) -> None:
        self.bench = bench
        self.collector = Collector()

    def run(self, *script: Any, then: Callable[[Watch], object], view: ViewSettings | None = None):
        def last() -> NDArray:
            then(watch)
            return NORMAL

        camera = ScriptedCamera(*script, last)
        if view is not None:
            camera.view = FrameView(view)
        with Journal(self.bench.journal_file) as journal:
            watch = self.bench.prepare(camera, journal, [self.collector])
            watch.run()

    @property
    def event_id(self) -> str:
        return self.bench.rows("SELECT event_id FROM events WHERE kind = 'defect'")[0][0]


@pytest.fixture
def marking(bench: WatchBench) -> Marking:
    return Marking(bench)


def test_a_false_alarm_is_kept_whole_and_its_mark_may_change(
    marking: Marking, bench: WatchBench
) -> None:
    whole = np.vstack([np.full((10, FILMED.shape[1]), 77, FILMED.dtype), FILMED])

    def mark(watch: Watch) -> None:
        event_id = marking.event_id
        answer = ask(watch, event_id=event_id, mark="false-alarm", note="a label, no defect")
        assert answer == f"Event {event_id} is marked as a false alarm, and its frame is kept."
        (kept,) = kept_in(bench)
        assert (kept.mark, kept.event_id, kept.camera) == ("false-alarm", event_id, "left")
        assert (kept.marked_by, kept.note) == ("page: Ann", "a label, no defect")
        assert (kept.sequence, kept.cut_off_px) == (1, (0, 0, 0, 0))
        picture = MarkedFrames(bench.folder / "pictures").picture(kept.frame_id)
        assert picture is not None
        np.testing.assert_array_equal(cv2.imread(str(picture), cv2.IMREAD_UNCHANGED), whole)
        # A second person sees it otherwise: the last mark counts, and both stay on record.
        ask(watch, "opcua plant", event_id=event_id, mark="real")
        (kept,) = kept_in(bench)
        assert (kept.mark, kept.marked_by) == ("real", "opcua plant")
        frame = kept.frame_id
        assert marks(bench) == [
            ("false-alarm", "page: Ann", event_id, frame, "a label, no defect"),
            ("real", "opcua plant", event_id, frame, ""),
        ]
        ask(watch, event_id=event_id, mark="none")
        assert kept_in(bench) == []
        assert len(marks(bench)) == 3

    top = np.full((10, NORMAL.shape[1]), 77, NORMAL.dtype)
    view = ViewSettings(crop_top_px=10)
    marking.run(np.vstack([top, NORMAL]), whole, then=mark, view=view)
    audit = bench.rows("SELECT who, camera, action, before, after FROM audit ORDER BY audit_id")
    subject = {"event_id": marking.event_id}
    assert [(who, json.loads(before), json.loads(after)) for who, _, _, before, after in audit] == [
        ("page: Ann", {**subject, "mark": "none"}, {**subject, "mark": "false-alarm"}),
        ("opcua plant", {**subject, "mark": "false-alarm"}, {**subject, "mark": "real"}),
        ("page: Ann", {**subject, "mark": "real"}, {**subject, "mark": "none"}),
    ]


def test_history_and_page_have_the_last_mark(marking: Marking, bench: WatchBench) -> None:
    def mark(watch: Watch) -> None:
        ask(watch, event_id=marking.event_id, mark="real")
        ask(watch, "mqtt", event_id=marking.event_id, mark="false-alarm", note="dust")

    marking.run(FILMED, then=mark)
    with JournalReader(bench.journal_file) as journal:
        documents = list(journal.documents(Query(kind="defect")))
        assert [(each["mark"], each["marked_by"], each["mark_note"]) for each in documents] == [
            ("false-alarm", "mqtt", "dust")
        ] * len(documents)
        (row, *_) = journal.rows(Query(kind="defect"))
        assert row["mark"] == "false-alarm"
        assert [row["mark"] for row in journal.rows(Query("marks"))] == ["real", "false-alarm"]
        shown = journal.newest_events(9)[0]
        assert shown.mark is not None
        assert (shown.mark.mark, shown.mark.who) == ("false-alarm", "mqtt")


def test_a_missed_defect_is_kept_from_the_ring(marking: Marking, bench: WatchBench) -> None:
    def mark(watch: Watch) -> None:
        normal, filmed = watch.state.recent.newest_first()[::-1]
        assert (normal.event_id, filmed.event_id) == (None, marking.event_id)
        answer = ask(watch, frame=normal.frame_id, mark="missed", note="a scratch")
        assert answer == f"Frame {normal.frame_id} is marked as a missed defect, and kept."
        with pytest.raises(SemedgeError, match=rf"raised the alert {marking.event_id}; mark that"):
            ask(watch, frame=filmed.frame_id, mark="missed")
        with pytest.raises(SemedgeError, match=r"no longer among the last 200 frames"):
            ask(watch, frame="left-20200101T000000.000000-7", mark="missed")
        with pytest.raises(SemedgeError, match=r"is not marked"):
            ask(watch, frame="left-20200101T000000.000000-7", mark="none")

    marking.run(NORMAL, FILMED, then=mark)
    (kept,) = kept_in(bench)
    assert (kept.mark, kept.event_id, kept.note) == ("missed", None, "a scratch")
    assert kept.score is not None
    assert kept.alarm_level is not None
    assert kept.score <= kept.alarm_level
    (row,) = marks(bench)
    assert row == ("missed", "page: Ann", None, kept.frame_id, "a scratch")


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"event_id": NO_EVENT, "mark": "real"}, f"no event '{NO_EVENT}' in the journal"),
        ({"event_id": NO_EVENT, "mark": "missed"}, "only a frame is missed"),
        ({"frame": "left-20200101T000000.000000-7", "mark": "real"}, "can only be missed"),
        ({"mark": "real"}, "give either event_id or frame"),
        ({"event_id": "x", "frame": "y", "mark": "real"}, "event_id: "),
        ({"frame": "../../etc/passwd", "mark": "missed"}, "frame: "),
        ({"event_id": NO_EVENT, "mark": "good"}, "mark: "),
        ({"event_id": NO_EVENT, "mark": "real", "note": "x" * 501}, "note: "),
        ({"event_id": NO_EVENT, "mark": "real", "camera": "left"}, "camera: "),
    ],
)
def test_a_wrong_request_is_refused_and_changes_nothing(
    marking: Marking, bench: WatchBench, request_: dict[str, str], reason: str
) -> None:
    def mark(watch: Watch) -> None:
        with pytest.raises(SemedgeError, match=reason.replace(".", r"\.")):
            ask(watch, **request_)

    marking.run(FILMED, then=mark)
    assert marks(bench) == []
    assert kept_in(bench) == []
    assert bench.rows("SELECT count(*) FROM audit") == [(0,)]


def test_only_defects_are_marked(bench: WatchBench) -> None:
    with Journal(bench.journal_file) as journal:
        tested = journal.add_event(new_event("s", "test", "test-alert", "A test."), [])
        marker = Marker(journal, MarkedFrames(bench.folder / "pictures"))
        request = MarkRequest(action="mark", event_id=tested.event_id, mark="real")
        with pytest.raises(SemedgeError, match=r"is a test event, and only defects are marked"):
            marker.mark(request, "page")


def marker_of(
    bench: WatchBench, journal: Journal, pictures: Path | None = None, most_bytes: int = 10**9
) -> Marker:
    """A marker without a ring, as after a restart."""
    marked = MarkedFrames(pictures or bench.folder / "pictures", most_bytes)
    return Marker(journal, marked, None, lambda camera: ViewSettings(crop_top_px=10))


def false_alarm(event_id: str) -> MarkRequest:
    return MarkRequest(action="mark", event_id=event_id, mark="false-alarm")


def test_after_a_restart_the_picture_of_the_alert_is_kept(
    marking: Marking, bench: WatchBench
) -> None:
    marking.run(FILMED, then=lambda watch: None)
    with Journal(bench.journal_file) as journal:
        marker_of(bench, journal).mark(false_alarm(marking.event_id), "mark: root")
    (kept,) = kept_in(bench)
    # It was cropped when it was written, by the view of the camera.
    assert (kept.cut_off_px, kept.source) == ((10, 0, 0, 0), "script #0")
    picture = bench.folder / "pictures" / "marked" / f"{kept.frame_id}.png"
    np.testing.assert_array_equal(cv2.imread(str(picture), cv2.IMREAD_UNCHANGED), FILMED)


def test_an_alert_whose_picture_was_pruned_is_marked_without_it(
    marking: Marking, bench: WatchBench
) -> None:
    marking.run(FILMED, then=lambda watch: None)
    for picture in (bench.folder / "pictures").rglob("*.png"):
        picture.unlink()
    with Journal(bench.journal_file) as journal:
        answer = marker_of(bench, journal).mark(false_alarm(marking.event_id), "mark: root")
    assert answer.endswith("it has no picture any more, so nothing can be learned from it.")
    assert kept_in(bench) == []
    assert marks(bench) == [("false-alarm", "mark: root", marking.event_id, None, "")]


def test_where_the_folder_is_full_nothing_is_marked(marking: Marking, bench: WatchBench) -> None:
    marking.run(FILMED, then=lambda watch: None)
    full = r"marked is full \(0 frames.*learn from them"
    with Journal(bench.journal_file) as journal, pytest.raises(SemedgeError, match=full):
        marker_of(bench, journal, most_bytes=10).mark(false_alarm(marking.event_id), "page")
    assert marks(bench) == []
    assert list((bench.folder / "pictures" / "marked").glob("*")) == []


def test_a_journal_that_takes_nothing_leaves_no_frame(marking: Marking, bench: WatchBench) -> None:
    marking.run(FILMED, then=lambda watch: None)
    with Journal(bench.journal_file) as journal:
        with journal.reading() as connection:
            connection.execute("PRAGMA query_only = 1")
        with pytest.raises(SemedgeError, match=r"could not be written .*readonly"):
            marker_of(bench, journal).mark(false_alarm(marking.event_id), "page")
        assert kept_in(bench) == []
        with journal.reading() as connection:
            connection.execute("PRAGMA query_only = 0")
        marker_of(bench, journal).mark(false_alarm(marking.event_id), "page")
        with journal.reading() as connection:
            connection.execute("PRAGMA query_only = 1")
        real = MarkRequest(action="mark", event_id=marking.event_id, mark="real")
        with pytest.raises(SemedgeError, match="readonly"):
            marker_of(bench, journal).mark(real, "page")
    (kept,) = kept_in(bench)
    assert kept.mark == "false-alarm", "the mark before, since the new one is not on record"


@pytest.mark.fault(Fault.DISK)
def test_a_full_disk_refuses_a_mark_and_takes_it_once_there_is_space(
    marking: Marking, bench: WatchBench, small_disk: Path
) -> None:
    marking.run(FILMED, then=lambda watch: None)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"0" * 4096)
        except OSError:
            pass
    with Journal(bench.journal_file) as journal:
        marker = marker_of(bench, journal, small_disk)
        with pytest.raises(SemedgeError, match=r"No space left on device"):
            marker.mark(false_alarm(marking.event_id), "page")
        assert marks(bench) == []
        assert [path for path in small_disk.rglob("*") if path.is_file()] == [filler]
        filler.unlink()
        marker.mark(false_alarm(marking.event_id), "page")
    assert len(MarkedFrames(small_disk).all()) == 1


def test_retention_counts_marked_frames_and_deletes_none(
    marking: Marking, bench: WatchBench
) -> None:
    marking.run(FILMED, then=lambda watch: ask(watch, event_id=marking.event_id, mark="real"))
    pictures = bench.folder / "pictures"
    noise = np.random.default_rng(1).integers(0, 256, (1000, 1000), np.uint8)
    (kept,) = kept_in(bench)
    cv2.imwrite(str(pictures / "marked" / f"{kept.frame_id}.png"), noise)
    assert len(list(pictures.glob("????-??-??/*.png"))) == 2

    class Silent:
        is_ongoing = False

        def start(self, message: str, **details: object) -> None: ...

        def end(self, message: str, **details: object) -> None: ...

    settings = RetentionSettings(most_bytes=1_000_000, pictures_days=0.001)
    with Journal(bench.journal_file) as journal:
        Retention(settings, journal, pictures, Silent()).clean()  # type: ignore[arg-type]
    assert list(pictures.glob("????-??-??/*.png")) == []
    assert [path.name for path in (pictures / "marked").glob("*.png")] == [f"{kept.frame_id}.png"]


def test_a_damaged_record_is_left_out_and_named(
    marking: Marking, bench: WatchBench, capsys: pytest.CaptureFixture[str]
) -> None:
    marking.run(FILMED, then=lambda watch: ask(watch, event_id=marking.event_id, mark="real"))
    (record,) = (bench.folder / "pictures" / "marked").glob("*.json")
    whole = record.read_text()
    for damaged in ("", "[]", whole[:40], whole.replace('"real"', '"fine"')):
        record.write_text(damaged)
        assert kept_in(bench) == []
        assert str(record) in capsys.readouterr().err
    record.write_text(whole.replace('"real"', '"real", "of_a_later_version": 1'))
    assert len(kept_in(bench)) == 1


def test_without_a_ring_nothing_is_missed_and_its_settings_are_bounded() -> None:
    assert MarkSettings(recent_frames=0).recent_frames == 0
    with pytest.raises(ValueError, match="recent_frames"):
        MarkSettings(recent_frames=2_001)

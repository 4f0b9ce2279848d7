"""Events reach each sink in order and at least once, whatever the other sinks do."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from events import EVENT
from scripted import Collector, wait_until

from semedge.core.event import Event
from semedge.journal.journal import Journal
from semedge.sinks.base import DeliveryError, RejectedError
from semedge.sinks.delivery import Delivery
from semedge.state.snapshot import SinkState


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite") as opened:
        yield opened


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semedge.sinks.delivery.FIRST_RETRY_S", 0.01)
    monkeypatch.setattr("semedge.sinks.delivery.LONGEST_RETRY_S", 0.1)


def fill(journal: Journal, count: int, sinks: list[str]) -> None:
    for sequence in range(count):
        event = replace(EVENT, event_id=uuid.uuid4().hex, sequence=sequence)
        journal.add_event(event, sinks)


def test_a_thousand_events_wait_for_a_sink_that_is_down(journal: Journal) -> None:
    up = threading.Event()

    def refuse(event: Event) -> None:
        if not up.is_set():
            raise DeliveryError("the broker is away")

    down, fine = Collector("down", on_deliver=refuse), Collector("fine")
    delivery = Delivery(journal, [down, fine])
    delivery.start()
    fill(journal, 1000, ["down", "fine"])
    delivery.wake()
    wait_until(lambda: len(fine.events) == 1000)
    states = {state.name: state for state in delivery.states()}
    assert states["fine"] == SinkState("fine", delivered=1000)
    assert states["down"].failures > 0
    assert states["down"].last_error == "the broker is away"
    assert journal.pending_counts() == {"down": 1000}
    up.set()
    wait_until(lambda: len(down.events) == 1000)
    delivery.close()
    for sink in (down, fine):
        assert [event.sequence for event in sink.events] == list(range(1000))
        assert sink.closed
    assert journal.counts().pending == 0


def test_a_sink_that_hangs_delays_no_other_and_is_shown(journal: Journal) -> None:
    release = threading.Event()
    hung = Collector("hung", on_deliver=lambda event: release.wait(30) and None)
    fine = Collector("fine")
    delivery = Delivery(journal, [hung, fine])
    delivery.start()
    fill(journal, 20, ["hung", "fine"])
    delivery.wake()
    wait_until(lambda: len(fine.events) == 20)
    time.sleep(0.05)
    (state,) = [state for state in delivery.states() if state.name == "hung"]
    assert state.waiting_s > 0
    started_s = time.monotonic()
    delivery.close()
    assert time.monotonic() - started_s < 5
    release.set()
    assert fine.closed


def test_what_is_rejected_for_good_makes_room_for_the_rest(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    def reject_one(event: Event) -> None:
        if event.sequence == 1:
            raise RejectedError("field too long")

    sink = Collector("strict", on_deliver=reject_one)
    fill(journal, 3, ["strict"])
    delivery = Delivery(journal, [sink])
    delivery.start()
    wait_until(lambda: len(sink.events) == 2)
    delivery.close()
    assert [event.sequence for event in sink.events] == [0, 2]
    assert (journal.counts().pending, journal.counts().rejected) == (0, 1)
    assert "event 2 for good: field too long" in capsys.readouterr().err


def test_news_do_not_hurry_a_sink_that_fails(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semedge.sinks.delivery.FIRST_RETRY_S", 30.0)
    monkeypatch.setattr("semedge.sinks.delivery.LONGEST_RETRY_S", 30.0)
    attempts: list[float] = []

    def fail(event: Event) -> None:
        attempts.append(time.monotonic())
        raise OSError("no route")

    fill(journal, 1, ["away"])
    delivery = Delivery(journal, [Collector("away", on_deliver=fail)])
    delivery.start()
    wait_until(lambda: len(attempts) == 1)
    for _ in range(20):
        delivery.wake()
        time.sleep(0.01)
    assert len(attempts) == 1
    delivery.close()
    assert len(attempts) == 2, "the last attempt, at the end"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_kill_between_delivery_and_record_repeats_one_event_with_its_key(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(journal, 3, ["sink"])
    marked: Callable = journal.mark_delivered
    calls = []

    def die_once(event: Event, sink: str) -> None:
        calls.append(event.number)
        if len(calls) == 2:
            raise SystemExit
        marked(event, sink)

    monkeypatch.setattr(journal, "mark_delivered", die_once)
    sink = Collector("sink")
    first = Delivery(journal, [sink])
    first.start()
    wait_until(lambda: sink.closed)
    second = Delivery(journal, [sink])
    second.start()
    wait_until(lambda: len(sink.events) == 4)
    second.close()
    assert [event.sequence for event in sink.events] == [0, 1, 1, 2]
    assert sink.events[1].key == sink.events[2].key

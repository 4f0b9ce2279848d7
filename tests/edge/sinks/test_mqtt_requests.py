"""Requests to a station over MQTT, by a real broker."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from faults import Fault
from mqtt_broker import PREFIX, Broker, Listener, broker_in, needs_mosquitto, sink_of
from processes import wait_for
from sinks_support import EVENT, numbered

pytestmark = needs_mosquitto


def test_a_request_is_carried_out_and_answered(broker: Broker, listener: Listener) -> None:
    with sink_of(broker.port, accept_settings=True) as (sink, state, control):
        sink.deliver(EVENT)
        done = listener.ask("levels", '{"id": 7, "alarm": 12.5}')
        assert done == {
            "action": "levels",
            "id": 7,
            "done": True,
            "message": "Camera top has alarm level 12.5 and warn level 8.",
        }
        levels = state.snapshot().cameras["top"].active_setup
        assert levels is not None
        assert (levels.levels.alarm, levels.levels.warn) == (12.5, 8.0)
        assert listener.ask("recipe", '{"recipe": "tile"}')["done"]
        assert listener.ask("acknowledge", json.dumps({"event_id": EVENT.event_id}))["done"]
        mark = {"event_id": EVENT.event_id, "mark": "false-alarm", "note": "dust"}
        assert listener.ask("mark", json.dumps(mark))["done"]
        frame = state.recent.newest_first()[0].frame_id
        shown = json.loads(listener.of("state")[-1])
        assert shown["cameras"]["top"]["frame_id"] == frame
        assert listener.ask("mark", json.dumps({"frame": frame, "mark": "missed"}))["done"]
        assert control.requests == [
            ("levels", "top", 12.5, 8.0, "mqtt"),
            ("recipe", "top", "tile", "mqtt"),
            ("acknowledge", EVENT.event_id, "mqtt"),
            ("mark", EVENT.event_id, "false-alarm", "dust", "mqtt"),
            ("mark", frame, "missed", "", "mqtt"),
        ]


@pytest.mark.parametrize(
    ("action", "payload", "reason"),
    [
        ("levels", '{"alarm": 5}', r"warn .*\b5\. Received: "),
        ("levels", '{"alarm": "high"}', r"\balarm: .*number"),
        ("levels", '{"alarm": NaN}', r"\balarm: .*finite"),
        ("levels", '{"alarm": 5, "camera": "side"}', "'side'.* top"),
        ("levels", '{"alarrm": 5}', r"\balarrm\b"),
        ("recipe", '{"recipe": "../../etc/passwd"}', r"'\.\./\.\./etc/passwd'"),
        ("recipe", '{"recipe": "broken"}', "damaged"),
        ("levels", '{"alarm": true}', r"\balarm: "),
        ("levels", '{"alarm": "5"}', r"\balarm: "),
        ("levels", '{"alarm": 5, "valid_until": "soon"}', "valid_until must be .*'soon'"),
        ("acknowledge", '{"event_id": "1; drop table"}', r"\bevent_id: "),
        ("mark", '{"event_id": "1; drop table", "mark": "real"}', r"\bevent_id: "),
        ("mark", '{"mark": "real"}', r"\bgive either event_id or frame\); correct it"),
        ("mark", '{"frame": "../x", "mark": "missed"}', r"\bframe: "),
        ("acknowledge", "[" * 9000, r"\bJSON; send an object"),
        ("levels", "[]", "JSON object; send one"),
        ("regions", '{"leave_out_px": [[0, 0, 0, 5]]}', r"\bleave_out_px\.0\.2: .*greater than 0"),
        ("reboot", "{}", "'reboot'"),
    ],
)
def test_what_cannot_be_done_is_refused(
    shared_broker: Broker, action: str, payload: str, reason: str
) -> None:
    listener = Listener(shared_broker.port)
    try:
        with sink_of(shared_broker.port, accept_settings=True) as (sink, _, control):
            sink.deliver(EVENT)
            answer = listener.ask(action, payload)
            assert not answer["done"]
            assert re.search(reason, answer["message"])
            assert control.requests == []
    finally:
        listener.close()


@pytest.fixture(scope="module")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker_in(tmp_path_factory.mktemp("broker")) as started:
        yield started


def test_without_leave_nothing_is_accepted(broker: Broker, listener: Listener) -> None:
    with sink_of(broker.port) as (sink, _, control):
        sink.deliver(EVENT)
        listener.client.publish(f"{PREFIX}/set/levels", '{"alarm": 99}', qos=1).wait_for_publish(5)
        sink.deliver(numbered(1)[0])
        time.sleep(0.3)
        assert control.requests == []
        assert listener.of("answer") == []


@pytest.mark.fault(Fault.RETAINED)
def test_a_retained_request_is_never_carried_out(broker: Broker, listener: Listener) -> None:
    topic, payload = f"{PREFIX}/set/levels", '{"id": 1, "alarm": 5000}'
    listener.client.publish(topic, payload, qos=1, retain=True).wait_for_publish(5)
    for _ in range(3):
        with sink_of(broker.port, accept_settings=True) as (sink, _, control):
            sink.deliver(EVENT)
            time.sleep(0.3)
            assert control.requests == []
    with sink_of(broker.port, accept_settings=True) as (sink, _, control):
        sink.deliver(EVENT)
        listener.client.publish(topic, payload, qos=1, retain=True).wait_for_publish(5)
        wait_for(lambda: listener.of("answer") != [])
        answer = json.loads(listener.of("answer")[-1])
        assert (answer["id"], answer["done"]) == (1, False)
        assert "retain" in answer["message"]
        assert control.requests == []
        listener.client.publish(topic, b"", qos=1, retain=True).wait_for_publish(5)


@pytest.mark.parametrize(
    ("until", "done"), [("2000-01-01T00:00:00Z", False), ("2999-01-01T00:00:00Z", True)]
)
def test_a_request_is_carried_out_only_while_it_is_valid(
    broker: Broker, listener: Listener, until: str, done: bool
) -> None:
    with sink_of(broker.port, accept_settings=True) as (sink, _, control):
        sink.deliver(EVENT)
        answer = listener.ask("levels", json.dumps({"alarm": 12.5, "valid_until": until}))
        assert answer["done"] == done
        assert (control.requests != []) == done


def test_a_flood_of_requests_is_logged_once(
    broker: Broker, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    with sink_of(broker.port, accept_settings=True) as (sink, _, _):
        sink.deliver(EVENT)
        for _ in range(2000):
            sent = listener.client.publish(f"{PREFIX}/set/levels", '{"alarm": 12.5}', qos=0)
        sent.wait_for_publish(10)
        wait_for(lambda: sink._requests._dropped > 100)
        time.sleep(0.5)
    logged = [line for line in capsys.readouterr().err.splitlines() if "too many" in line]
    assert len(logged) == 1

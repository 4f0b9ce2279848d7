"""MQTT, with a real broker that is killed and comes back."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from faults import Fault
from processes import free_port, process, wait_for
from sinks_support import EVENT, certificates, numbered
from station_support import RecordingControl, request_handler_of, running_station

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.core.section import Secret
from semedge.sinks.base import DeliveryError
from semedge.sinks.mqtt import MqttSection, MqttSink, default_prefix
from semedge.state.state import StationState

pytestmark = pytest.mark.skipif(
    shutil.which("mosquitto") is None, reason="mosquitto is not installed: apt install mosquitto"
)

PREFIX = "plant/line 1"


@dataclass
class Broker:
    """mosquitto on a port of its own, which can be killed and started again."""

    folder: Path
    port: int
    configuration: str = "allow_anonymous true\n"
    running: Any = None

    def start(self) -> None:
        file = self.folder / "mosquitto.conf"
        file.write_text(
            f"listener {self.port} 127.0.0.1\nuser root\npersistence true\n"
            f"persistence_location {self.folder}/\nautosave_interval 1\n"
            f"autosave_on_changes true\n{self.configuration}"
        )
        argv = ["mosquitto", "-c", str(file)]
        self.running = process(argv, self.folder / "broker.log", self.port)
        self.running.__enter__()

    def kill(self) -> None:
        """As by `kill -9`."""
        if self.running is not None:
            self.running.__exit__(None, None, None)
            self.running = None


@contextmanager
def broker_in(folder: Path, configuration: str = "allow_anonymous true\n") -> Iterator[Broker]:
    broker = Broker(folder, free_port(), configuration)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with broker_in(tmp_path) as started:
        yield started


@dataclass
class Listener:
    """A client that keeps what it hears, through the broker's restarts."""

    port: int
    heard: list[tuple[str, str, bool]] = field(default_factory=list)
    """Topic, text, and whether the broker says that it sends it to this listener once more."""

    def __post_init__(self) -> None:
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False
        )
        self.client.reconnect_delay_set(1, 1)
        subscribed = threading.Event()
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.on_message = lambda _client, _data, message: self.heard.append(
            (message.topic, message.payload.decode(), message.dup)
        )
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        assert subscribed.wait(5)

    def of(self, topic: str) -> list[str]:
        return [text for name, text, _ in list(self.heard) if name == f"{PREFIX}/{topic}"]

    def ask(self, action: str, payload: str) -> dict[str, Any]:
        """Ask the station for something, and wait for its answer."""
        before = len(self.of("answer"))
        self.client.publish(f"{PREFIX}/set/{action}", payload, qos=1)
        wait_for(lambda: len(self.of("answer")) > before)
        answer: dict[str, Any] = json.loads(self.of("answer")[-1])
        return answer

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    listening = Listener(broker.port)
    try:
        yield listening
    finally:
        listening.close()


@contextmanager
def sink_of(
    port: int, **settings: Any
) -> Iterator[tuple[MqttSink, StationState, RecordingControl]]:
    section = MqttSection(
        **{"kind": "mqtt", "host": "127.0.0.1", "port": port, "prefix": PREFIX, **settings}
    )
    sink = section.open("broker")
    assert isinstance(sink, MqttSink)
    state, control = running_station()
    sink.attach(state, request_handler_of(control))
    try:
        yield sink, state, control
    finally:
        sink.close()


def test_an_event_and_the_state_reach_a_client(broker: Broker, listener: Listener) -> None:
    with sink_of(broker.port, state_every_s=0.2) as (sink, state, _):
        sink.deliver(EVENT)
        wait_for(lambda: listener.of("event"))
        assert Event.from_document(json.loads(listener.of("event")[0])) == EVENT
        assert listener.of("available")[-1] == "online"
        wait_for(lambda: listener.of("state"))
        camera = json.loads(listener.of("state")[-1])["cameras"]["top"]
        assert (camera["verdict"], camera["alarm_level"], camera["recipe"]) == (
            "good",
            9.8,
            "fibre",
        )
        state.change("top", activity="not inspecting", reason="The picture is frozen.")
        wait_for(lambda: "frozen" in listener.of("state")[-1])
        changed = json.loads(listener.of("state")[-1])
        assert changed["verdict"] == "not inspecting"
    wait_for(lambda: listener.of("available")[-1] == "offline")


@pytest.mark.parametrize(
    ("station", "prefix"),
    [
        ("line4", "semedge/line4"),
        ("Fibre line 1", "semedge/Fibre_line_1"),
        ("a/b+c#d\t$e", "semedge/a_b_c_d__e"),
        ("", "semedge/station"),
    ],
)
def test_a_topic_needs_no_quotes(station: str, prefix: str) -> None:
    assert default_prefix(station) == prefix


def test_a_late_subscriber_gets_the_state_but_no_old_event(
    broker: Broker, listener: Listener
) -> None:
    with sink_of(broker.port) as (sink, _, _):
        sink.deliver(EVENT)
        wait_for(lambda: listener.of("state"))
        late = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="late")
        heard: list[tuple[str, bool]] = []
        late.on_message = lambda _client, _data, message: heard.append(
            (message.topic.removeprefix(f"{PREFIX}/"), message.retain)
        )
        late.connect("127.0.0.1", broker.port)
        late.subscribe("#")
        late.loop_start()
        try:
            wait_for(lambda: len(heard) >= 2)
        finally:
            late.disconnect()
            late.loop_stop()
    assert set(heard) >= {("available", True), ("state", True)}
    assert "event" not in dict(heard)


DYING = """
import sys, time
from semedge.sinks.mqtt import MqttSection
from semedge.state.state import StationState
port, prefix = int(sys.argv[1]), sys.argv[2]
sink = MqttSection(kind="mqtt", host="127.0.0.1", port=port, prefix=prefix).open("broker")
sink.attach(StationState("s", []), None)
time.sleep(60)
"""


def test_the_last_will_of_a_station_that_is_killed(
    broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    with (tmp_path / "station.log").open("ab") as log:
        station = subprocess.Popen(
            [sys.executable, "-c", DYING, str(broker.port), PREFIX],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: listener.of("available")[-1:] == ["online"], 20)
        os.kill(station.pid, signal.SIGKILL)
        wait_for(lambda: listener.of("available")[-1] == "offline")
    finally:
        station.kill()
        station.wait(10)


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
        wait_for(lambda: sink._dropped > 100)
        time.sleep(0.5)
    logged = [line for line in capsys.readouterr().err.splitlines() if "too many" in line]
    assert len(logged) == 1


def send_all(sink: MqttSink, events: list[Event], broker: Broker, kill_after: int) -> int:
    """Deliver as the delivery's thread does, with a broker that dies on the way; the failures."""
    failures = 0
    for number, event in enumerate(events):
        if number == kill_after:
            broker.kill()
            threading.Timer(1.5, broker.start).start()
        while True:
            try:
                sink.deliver(event)
                break
            except DeliveryError:
                failures += 1
                time.sleep(0.05)
    return failures


@pytest.mark.fault(Fault.RECEIVER)
@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_broker_killed_and_back_is_given_everything_in_order(
    broker: Broker,
    listener: Listener,
    count: int,
    record_property: Callable[[str, object], None],
) -> None:
    events = numbered(count)
    with sink_of(broker.port, timeout_s=0.5) as (sink, _, _):
        assert send_all(sink, events, broker, kill_after=count // 2) > 0
        wait_for(lambda: len(listener.of("event")) >= count, 30)
    keys = [json.loads(text)["key"] for text in listener.of("event")]
    once = list(dict.fromkeys(keys))
    assert once == [event.key for event in events]
    published = [
        text for name, text, again in listener.heard if name.endswith("event") and not again
    ]
    twice = len(published) - len(set(published))
    record_property("MQTT", f"{len(once):,} of {count:,} in order, {twice} twice, after 1 crash")
    assert twice <= 1, "at most one duplicate a crash"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, Path]]:
    """A broker that wants TLS and a password, and the authority of its certificate."""
    folder = tmp_path_factory.mktemp("locked")
    authority, key, certificate = certificates(folder)
    passwords = folder / "passwords"
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(passwords), "station", "pa ss"],
        check=True,
        timeout=10,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    rules = folder / "rules"
    rules.write_text(f"user station\ntopic readwrite {PREFIX}/#\ntopic deny {PREFIX}/denied/#\n")
    configuration = (
        f"allow_anonymous false\npassword_file {passwords}\nacl_file {rules}\n"
        f"cafile {authority}\ncertfile {certificate}\nkeyfile {key}\n"
    )
    with broker_in(folder, configuration) as started:
        yield started, authority


def test_an_encrypted_connection_with_a_password(
    locked: tuple[Broker, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, authority = locked
    monkeypatch.setenv("MQTT_PASSWORD", "pa ss")
    login = {"username": "station", "password": Secret(env="MQTT_PASSWORD")}
    with sink_of(broker.port, tls=True, ca_file=authority, **login) as (sink, _, _):
        sink.deliver(EVENT)


def test_a_topic_that_the_broker_denies_is_no_receipt(
    locked: tuple[Broker, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, authority = locked
    monkeypatch.setenv("MQTT_PASSWORD", "pa ss")
    login = {"username": "station", "password": Secret(env="MQTT_PASSWORD")}
    settings = {"tls": True, "ca_file": authority, "prefix": "elsewhere", **login}
    with (
        sink_of(broker.port, **settings) as (sink, _, _),
        pytest.raises(DeliveryError, match=r"127\.0\.0\.1 .*Not authorized"),
    ):
        sink.deliver(EVENT)


@pytest.mark.parametrize(
    ("settings", "password", "reason"),
    [
        ({"tls": True}, "pa ss", "reached"),
        ({"tls": True, "ca_file": "ours"}, "wr0ng", "refuses"),
        ({}, "pa ss", ": "),
    ],
    ids=["not trusted", "wrong password", "not encrypted"],
)
def test_a_connection_that_does_not_come_about(
    locked: tuple[Broker, Path],
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    password: str,
    reason: str,
) -> None:
    broker, authority = locked
    monkeypatch.setenv("MQTT_PASSWORD", password)
    if "ca_file" in settings:
        settings = {**settings, "ca_file": authority}
    login = {"username": "station", "password": Secret(env="MQTT_PASSWORD")}
    with (
        sink_of(broker.port, timeout_s=1, **login, **settings) as (sink, _, _),
        pytest.raises(DeliveryError) as raised,
    ):
        sink.deliver(EVENT)
    assert reason in str(raised.value)
    assert password not in str(raised.value)


def test_closing_waits_for_no_broker_that_is_away() -> None:
    with sink_of(free_port()):
        started_s = time.monotonic()
    assert time.monotonic() - started_s < 2.5


def test_a_test_beside_a_running_station_does_not_throw_it_out(
    broker: Broker, listener: Listener
) -> None:
    with sink_of(broker.port) as (sink, _, _):
        sink.deliver(EVENT)
        beside = MqttSection(kind="mqtt", host="127.0.0.1", port=broker.port, prefix=PREFIX)
        tester = beside.open("broker")
        tester.deliver(numbered(1)[0])
        tester.close()
        wait_for(lambda: len(listener.of("event")) == 2)
        assert listener.of("available") == ["online"]


def test_stations_of_one_name_do_not_throw_each_other_out(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sink_of(broker.port) as (first, _, _):
        first.deliver(EVENT)
        (tmp_path / "second").mkdir()
        monkeypatch.chdir(tmp_path / "second")
        with sink_of(broker.port) as (second, _, _):
            for event in numbered(3):
                second.deliver(event)
                first.deliver(event)


def test_a_client_with_the_same_identifier_is_reported_once(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    with sink_of(broker.port, client_id="line") as (sink, _, _):
        sink.deliver(EVENT)
        for _ in range(5):
            other = paho.Client(
                paho.CallbackAPIVersion.VERSION2, client_id="line", protocol=paho.MQTTv5
            )
            other.connect("127.0.0.1", broker.port)
            other.loop_start()
            wait_for(lambda: not sink._connected.is_set())
            other.disconnect()
            other.loop_stop()
            wait_for(sink._connected.is_set, 20)
    assert capsys.readouterr().err.count("set another client_id") == 1


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"prefix": "plant/#"}, ValueError),
        ({"prefix": "/plant"}, ValueError),
        ({"ca_file": "ca.pem"}, SemedgeError),
        ({"tls": True, "ca_file": "absent.pem"}, SemedgeError),
    ],
)
def test_settings_that_do_not_do(settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        MqttSection(**{"kind": "mqtt", "host": "h", **settings}).open("broker")

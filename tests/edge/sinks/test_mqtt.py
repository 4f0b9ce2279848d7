"""MQTT, with a real broker that is killed and comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from faults import Fault
from mqtt_broker import PREFIX, Broker, Listener, broker_in, needs_mosquitto, sink_of
from processes import free_port, wait_for
from sinks_support import EVENT, certificates, numbered

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.core.section import Secret
from semedge.sinks.base import DeliveryError
from semedge.sinks.mqtt import MqttSection, MqttSink
from semedge.sinks.mqtt_client import default_prefix

pytestmark = needs_mosquitto


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

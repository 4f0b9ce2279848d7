"""A real MQTT broker, a client that listens, and a sink beside a station, for tests."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from processes import free_port, process, wait_for
from station_support import RecordingControl, request_handler_of, running_station

from semedge.sinks.mqtt import MqttSection, MqttSink
from semedge.state.state import StationState

needs_mosquitto = pytest.mark.skipif(
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

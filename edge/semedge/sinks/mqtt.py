"""Events, state and settings over MQTT."""

from __future__ import annotations

import json
import logging
import os
import re
import ssl
import threading
import time
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.core.optional import import_extra
from semedge.core.section import Secret
from semedge.sinks.base import DeliveryError, RejectedError, Sink
from semedge.sinks.mqtt_client import (
    connect_properties,
    default_client_id,
    default_prefix,
    subscribe_options,
    tls_context,
)
from semedge.sinks.mqtt_requests import MqttRequests
from semedge.sinks.section import SinkSection
from semedge.state.document import state_document
from semedge.state.requests import RequestHandler
from semedge.state.state import StationState

logger = logging.getLogger(__name__)

FIRST_RECONNECT_S, LONGEST_RECONNECT_S = 1, 15
CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
LONGEST_STEP_S = 180.0
"""A request may load a detector."""

UNSURE_S = 2.0
"""An event that was confirmed this shortly before the connection broke is sent once more."""

TAKEN_OVER = "Session taken over"
SHORT_SESSION_S, SHORT_SESSIONS = 5.0, 3
"""So many connections in a row that break so early are taken over; not every broker says so."""
NEVER_TAKEN = ("Packet too large", "Payload format invalid", "Topic name invalid")


class MqttSection(SinkSection):
    """`[sinks.NAME]` with `kind = "mqtt"`: a client of an MQTT 5 broker."""

    kind: Literal["mqtt"] = Field(description="The word `mqtt`.")
    host: str = Field(min_length=1, description="The broker.")
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Its port; by default 8883 with tls, else 1883.",
    )
    tls: bool = Field(default=False, description="Encrypt the connection.")
    ca_file: Path | None = Field(
        default=None,
        description="Certificates to check the broker's with; by default the system's.",
    )
    certificate: Path | None = Field(
        default=None, description="The station's certificate, where the broker requires one."
    )
    private_key: Path | None = Field(default=None, description="The key of that certificate.")
    username: str | None = Field(default=None, description="The user to log in as.")
    password: Secret | None = Field(default=None, description="The password of that user.")
    prefix: str | None = Field(
        default=None,
        description="Prefix of every topic; by default `semedge/` and the station's name, with `_` "
        "in place of a space.",
    )
    client_id: str | None = Field(
        default=None,
        description="The client's identifier, which no other client of the broker may have; by "
        "default made from the prefix, this machine and the working directory.",
    )
    keepalive_s: int = Field(
        default=15,
        ge=2,
        le=3600,
        description="Keep-alive interval; after one and a half times as long without a message, "
        "the broker publishes the last will.",
    )
    timeout_s: float = Field(
        default=10.0, gt=0, le=60, description="Longest wait for the broker to confirm an event."
    )
    state_every_s: float = Field(
        default=1.0, ge=0.2, le=3600, description="Shortest time between two messages of the state."
    )
    accept_settings: bool = Field(
        default=False,
        description="Carry out requests in messages below `set`; anyone who may publish there can "
        "send them.",
    )

    @field_validator("prefix")
    @classmethod
    def _is_a_topic(cls, prefix: str | None) -> str | None:
        if prefix is not None and not re.fullmatch(r"[^+#/\0$]+(/[^+#/\0]+)*", prefix):
            raise ValueError("a topic has no +, # or empty level, and does not begin with $ or /")
        return prefix

    def open(self, name: str) -> Sink:
        """The sink."""
        return MqttSink(name, self)


class MqttSink:
    """Publishes each event with QoS 1; it is delivered when the broker has confirmed it.

    The client keeps an event without a confirmation, and sends it again when the broker is back;
    so a retry waits for that rather than publish it a second time. An event that
    was confirmed just before the connection broke is sent once more: a broker that was killed may
    have confirmed it and then lost it.
    """

    def __init__(self, name: str, section: MqttSection) -> None:
        self.name = name
        self._section = section
        self._paho = import_extra("paho.mqtt.client", "mqtt", "An MQTT sink")
        self._tls_context = _tls_context(name, section)
        self._password = section.password.read() if section.password else None
        self._prefix = ""
        self._client: Any = None
        self._state: StationState | None = None
        self._requests: MqttRequests | None = None
        self._connected = threading.Event()
        self._trouble = "no connection yet"
        self._connected_s = 0.0
        self._short_sessions = 0
        self._takeover_reported = False
        self._waiting: tuple[str, str, int] | None = None
        self._confirmed: dict[int, str | None] = {}
        self._last: tuple[float, str] | None = None
        self._suspect: str | None = None
        self._news = threading.Event()
        self._published: str | None = None
        self._published_s = 0.0
        self._closing = threading.Event()
        self._worker = threading.Thread(target=self._run, name=f"mqtt-{name}", daemon=True)

    def attach(self, state: StationState, handler: RequestHandler) -> None:
        """Connect, and start to publish the state."""
        self._state = state
        self._requests = MqttRequests(
            self.name,
            handler,
            lambda answer: self._client.publish(self._topic("answer"), answer, qos=1),
        )
        self._connect(state.name)
        self._worker.start()

    def deliver(self, event: Event) -> None:
        """Publish the event, and wait until the broker confirms it."""
        ends_s = time.monotonic() + self._section.timeout_s
        if self._client is None:
            self._connect(event.station)
        if self._waiting is None or self._waiting[0] != event.key:
            if not self._connected.wait(self._section.timeout_s):
                raise DeliveryError(f"{self._section.host}: {self._trouble}")
            self._confirmed.clear()
            text = json.dumps(event.to_document(), allow_nan=False)
            sent = self._client.publish(self._topic("event"), text, qos=1)
            self._waiting = (event.key, text, sent.mid)
        _, text, mid = self._waiting
        while mid not in self._confirmed:
            if not self._news.wait(max(0.0, ends_s - time.monotonic())):
                raise DeliveryError(
                    f"{self._section.host} did not confirm it within {self._section.timeout_s:g} s"
                )
            self._news.clear()
        refusal = self._confirmed.pop(mid)
        self._waiting = None
        if refusal is not None:
            kind = RejectedError if refusal in NEVER_TAKEN else DeliveryError
            raise kind(f"{self._section.host} refuses it: {refusal}")
        self._last = (time.monotonic(), text)

    def close(self) -> None:
        """Publish that the station stops, and disconnect."""
        self._closing.set()
        if self._client is None:
            return
        if self._connected.is_set() and self._state is not None:
            gone = self._client.publish(self._topic("available"), "offline", qos=1, retain=True)
            ends_s = time.monotonic() + CLOSE_TIMEOUT_S
            while not gone.is_published() and time.monotonic() < ends_s:
                time.sleep(0.01)
        self._client.disconnect()
        # It may wait for a host that does not answer; then it ends with the process.
        stopping = threading.Thread(target=self._client.loop_stop, daemon=True)
        stopping.start()
        stopping.join(CLOSE_TIMEOUT_S)

    def _topic(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _connect(self, station: str) -> None:
        """Start to connect, and to reconnect whenever the connection breaks."""
        self._prefix = self._section.prefix or default_prefix(station)
        self._client = self._new_client()
        port = self._section.port or (8883 if self._section.tls else 1883)
        self._client.connect_async(
            self._section.host, port, self._section.keepalive_s, properties=connect_properties()
        )
        self._client.loop_start()

    def _new_client(self) -> Any:
        client_id = self._section.client_id or default_client_id(self._prefix, self.name)
        client = self._paho.Client(
            self._paho.CallbackAPIVersion.VERSION2,
            # A client with the identifier of a running station would disconnect that one.
            client_id=client_id if self._state is not None else f"{client_id}-{os.getpid()}",
            protocol=self._paho.MQTTv5,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        # An exception of a callback would end the client's thread.
        client.suppress_exceptions = True
        client.reconnect_delay_set(FIRST_RECONNECT_S, LONGEST_RECONNECT_S)
        if self._state is not None:
            client.will_set(self._topic("available"), "offline", qos=1, retain=True)
        if self._section.username is not None:
            client.username_pw_set(self._section.username, self._password)
        if self._tls_context is not None:
            client.tls_set_context(self._tls_context)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    # Called by paho's thread, which must not wait, neither for the station nor for a lock that
    # `deliver` has taken.

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        if reason.is_failure:
            self._trouble = f"the broker refuses the station ({reason})"
            return
        if self._state is not None:
            client.publish(self._topic("available"), "online", qos=1, retain=True)
        if self._suspect is not None:
            client.publish(self._topic("event"), self._suspect, qos=1)
            self._suspect = None
        if self._requests is not None and self._section.accept_settings:
            client.subscribe(self._topic("set/+"), options=subscribe_options())
        self._connected_s = time.monotonic()
        self._connected.set()

    def _on_connect_fail(self, _client: Any, _data: Any) -> None:
        self._trouble = "it cannot be reached"

    def _on_disconnect(
        self, _client: Any, _data: Any, _flags: Any, reason: Any, _more: Any
    ) -> None:
        if self._connected.is_set():
            self._trouble = f"the connection broke ({reason})"
            is_short = time.monotonic() - self._connected_s < SHORT_SESSION_S
            self._short_sessions = self._short_sessions + 1 if is_short else 0
            if str(reason) == TAKEN_OVER or self._short_sessions >= SHORT_SESSIONS:
                self._report_takeover()
            if self._last is not None and time.monotonic() - self._last[0] < UNSURE_S:
                self._suspect = self._last[1]
        self._connected.clear()

    def _report_takeover(self) -> None:
        self._trouble = "another client seems to have this identifier; set another client_id"
        if not self._takeover_reported:
            self._takeover_reported = True
            logger.warning(
                f"Another client of {self._section.host} seems to have the identifier of the "
                f"sink {self.name}, and they disconnect each other; set another client_id.",
                extra={"event": "mqtt-takeover"},
            )

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: Any, _more: Any) -> None:
        self._confirmed[mid] = str(reason) if reason.is_failure else None
        self._news.set()

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        assert self._requests is not None
        self._requests.add(message.topic, message.payload, retained=bool(message.retain))

    def _run(self) -> None:
        assert self._state is not None
        self._state.parts.repeat(
            f"MQTT sink {self.name}", self._step, self._closing, hang_after_s=LONGEST_STEP_S
        )

    def _step(self) -> None:
        """Carry out a request, and publish the state where it changed."""
        assert self._requests is not None
        self._requests.carry_out_next(self._section.state_every_s / 4)
        if not self._connected.is_set():
            self._published = None
        elif time.monotonic() - self._published_s >= self._section.state_every_s:
            self._published_s = time.monotonic()
            self._publish_state()

    def _publish_state(self) -> None:
        assert self._state is not None
        text = json.dumps(state_document(self._state.snapshot()), allow_nan=False)
        if text != self._published:
            self._client.publish(self._topic("state"), text, qos=0, retain=True)
        self._published = text


def _tls_context(name: str, section: MqttSection) -> ssl.SSLContext | None:
    if section.tls:
        return tls_context(name, section.ca_file, section.certificate, section.private_key)
    if section.ca_file or section.certificate or section.private_key:
        raise SemedgeError(
            f"The MQTT sink {name} has certificates but no encryption; set tls = true."
        )
    return None

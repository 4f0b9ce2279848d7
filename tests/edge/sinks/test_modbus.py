"""A PLC reads the station's registers and writes its own, over a real connection."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faults import Fault
from processes import answers, free_port, wait_for
from pymodbus.client import ModbusTcpClient
from sinks_support import EVENT, numbered
from station_support import RecordingControl, request_handler_of, running_station

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.sinks.base import DeliveryError
from semedge.sinks.event_loop import LoopThread
from semedge.sinks.modbus import ModbusSection, ModbusSink
from semedge.sinks.modbus_registers import (
    CAMERA,
    CAMERAS_FROM,
    FORMATS,
    SETTINGS,
    STATION,
    WORDS,
    Image,
    Register,
)
from semedge.sinks.modbus_server import MOST_CLIENTS
from semedge.state.state import StationState

BY_NAME = {register.name: register for register in (*STATION, *SETTINGS)}
OF_CAMERA = {
    register.name: replace(register, address=CAMERAS_FROM + register.address) for register in CAMERA
}


class Plc:
    """A client that reads and writes values."""

    def __init__(self, port: int, *, word_order: str = "big", byte_order: str = "big") -> None:
        self.client = ModbusTcpClient("127.0.0.1", port=port, timeout=2)
        assert self.client.connect()
        self._big = word_order == "big"
        self._swapped = byte_order == "little"

    def _ordered(self, words: list[int]) -> list[int]:
        words = words if self._big else words[::-1]
        swapped = self._swapped and len(words) > 1
        return [(word >> 8) | (word & 255) << 8 for word in words] if swapped else words

    def read(self, register: Register, *, as_input: bool = False) -> float:
        ask = self.client.read_input_registers if as_input else self.client.read_holding_registers
        answer = ask(register.address, count=register.words)
        assert not answer.isError(), answer
        words = self._ordered(answer.registers)
        value: float = struct.unpack(
            FORMATS[register.type], struct.pack(f">{len(words)}H", *words)
        )[0]
        return value

    def write(self, register: Register, value: float) -> bool:
        content = struct.pack(FORMATS[register.type], value)
        words = list(struct.unpack(f">{WORDS[register.type]}H", content))
        answer = self.client.write_registers(register.address, self._ordered(words))
        return not answer.isError()

    def ask(self, request: int, **values: float) -> float:
        """Write settings and a request, and wait for the answer."""
        for name, value in values.items():
            assert self.write(BY_NAME[name], value)
        assert self.write(BY_NAME["request"], request)
        wait_for(lambda: self.read(BY_NAME["answer"]) in (1, 2))
        return self.read(BY_NAME["answer"])


@contextmanager
def sink_of(**settings: Any) -> Iterator[tuple[ModbusSink, int, StationState, RecordingControl]]:
    port = free_port()
    sink = ModbusSection(**{"kind": "modbus", "port": port, **settings}).open("plc")
    assert isinstance(sink, ModbusSink)
    state, control = running_station()
    sink.attach(state, request_handler_of(control))
    try:
        wait_for(lambda: answers(port))
        yield sink, port, state, control
    finally:
        sink.close()


@contextmanager
def plc_at(port: int, **settings: Any) -> Iterator[Plc]:
    plc = Plc(port, **settings)
    try:
        yield plc
    finally:
        plc.client.close()


def test_registers_do_not_overlap() -> None:
    for table in ((*STATION, *SETTINGS), CAMERA):
        taken = [address for register in table for address in register.addresses]
        assert len(taken) == len(set(taken))
        assert max(taken) < 100


@pytest.mark.parametrize("byte_order", ["big", "little"])
@pytest.mark.parametrize("word_order", ["big", "little"])
def test_a_plc_reads_the_state(word_order: str, byte_order: str) -> None:
    orders = {"word_order": word_order, "byte_order": byte_order}
    with sink_of(**orders) as (_, port, state, _), plc_at(port, **orders) as plc:
        assert plc.write(BY_NAME["event_taken"], 123_456)
        assert plc.read(BY_NAME["verdict"]) == 1
        assert plc.read(BY_NAME["verdict"], as_input=True) == 1
        assert plc.read(OF_CAMERA["score"]) == 5.0
        assert plc.read(OF_CAMERA["alarm_level"]) == pytest.approx(9.8)
        assert plc.read(OF_CAMERA["frames_inspected"]) == 1
        assert plc.read(OF_CAMERA["recipe"]) == 1
        state.change("top", activity="not inspecting", reason="The picture is frozen.")
        wait_for(lambda: plc.read(BY_NAME["verdict"]) == 0)
        assert plc.read(OF_CAMERA["activity"]) == 2


def test_the_heartbeat_stops_with_the_station() -> None:
    with sink_of() as (_, port, _, _), plc_at(port) as plc:
        before = plc.read(BY_NAME["heartbeat"])
        wait_for(lambda: plc.read(BY_NAME["heartbeat"]) > before, 3)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
        pass


@pytest.mark.fault(Fault.PART)
def test_an_exception_stops_neither_the_registers_nor_their_verdict_for_good() -> None:
    with sink_of() as (_, port, state, control), plc_at(port) as plc:
        wait_for(lambda: plc.read(BY_NAME["verdict"]) == 1)
        control.fault = OSError(116, "Stale file handle")
        wait_for(lambda: plc.read(BY_NAME["verdict"]) == 0)
        wait_for(lambda: plc.read(OF_CAMERA["verdict"]) == 0)
        wait_for(lambda: "Stale file handle" in state.snapshot().faults.get("Modbus sink plc", ""))
        control.fault = None
        wait_for(lambda: plc.read(BY_NAME["verdict"]) == 1)
        wait_for(lambda: state.snapshot().faults == {})


def test_the_plc_takes_every_event_in_order() -> None:
    events = numbered(50)
    taken: list[float] = []
    with sink_of() as (sink, port, _, _), plc_at(port) as plc:
        over = threading.Event()

        def cycle() -> None:
            while not over.is_set():
                number = plc.read(BY_NAME["event_number"])
                if number and (not taken or number != taken[-1]):
                    taken.append(number)
                    plc.write(BY_NAME["event_taken"], number)

        thread = threading.Thread(target=cycle)
        thread.start()
        try:
            for event in events:
                sink.deliver(event)
        finally:
            over.set()
            thread.join(5)
    assert taken == [event.number for event in events]


def test_an_event_that_the_plc_does_not_take_waits() -> None:
    with sink_of(timeout_s=0.3) as (sink, port, _, _), plc_at(port) as plc:
        with pytest.raises(DeliveryError, match=r"PLC .*\b7\b.* 0\.3 s"):
            sink.deliver(EVENT)
        assert plc.read(BY_NAME["event_kind"]) == 1
        assert plc.read(BY_NAME["event_level"]) == 2
        assert plc.read(BY_NAME["event_score"]) == 3.5
        assert plc.read(BY_NAME["event_camera"]) == 1
        assert plc.write(BY_NAME["event_taken"], 7)
        sink.deliver(EVENT)


def test_a_plc_changes_settings() -> None:
    with (
        sink_of(accept_settings=True, handshake=False) as (sink, port, _, control),
        plc_at(port) as plc,
    ):
        sink.deliver(EVENT)
        assert plc.ask(1, camera=1, alarm_level=12.5, warn_level=math.nan) == 1
        assert plc.read(OF_CAMERA["alarm_level"]) == 12.5
        assert math.isnan(plc.read(OF_CAMERA["warn_level"]))
        assert plc.ask(2, camera=1, recipe=2) == 1
        assert plc.read(OF_CAMERA["recipe"]) == 2
        assert plc.ask(3) == 1
        assert plc.ask(1, camera=9, alarm_level=3) == 2, "there is no such camera"
        assert plc.ask(2, camera=1, recipe=3) == 2, "the third recipe is broken"
        assert plc.ask(1, camera=1, alarm_level=math.nan) == 2
        who = "modbus plc"
        assert control.requests == [
            ("levels", "top", 12.5, None, who),
            ("recipe", "top", "tile", who),
            ("acknowledge", EVENT.event_id, who),
        ]


def test_what_must_not_be_written_is_refused() -> None:
    with sink_of() as (_, port, _, control), plc_at(port) as plc:
        assert not plc.write(BY_NAME["verdict"], 1)
        assert not plc.write(BY_NAME["request"], 1), "settings are not accepted"
        assert not plc.write(replace(BY_NAME["verdict"], address=60_000), 1)
        assert plc.client.write_coil(60 * 16, True).isError()
        assert plc.write(BY_NAME["event_taken"], 3)
        assert control.requests == []
        assert plc.read(BY_NAME["verdict"]) == 1


def test_a_request_that_is_unknown_is_refused() -> None:
    with sink_of(accept_settings=True) as (_, port, _, _), plc_at(port) as plc:
        assert not plc.write(BY_NAME["request"], 9)
        assert plc.read(BY_NAME["answer"]) == 0


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        sink = ModbusSection(kind="modbus", port=port).open("plc")
        state, control = running_station()
        try:
            with pytest.raises(SemedgeError, match=rf"plc .*127\.0\.0\.1 port {port}\b"):
                sink.attach(state, request_handler_of(control))  # type: ignore[attr-defined]
        finally:
            sink.close()


def test_closing_is_quick_with_a_client_connected() -> None:
    with sink_of() as (sink, port, _, _), plc_at(port):
        started_s = time.monotonic()
        sink.close()
        assert time.monotonic() - started_s < 2


def test_numbers_that_do_not_fit_become_the_largest() -> None:
    image = Image()
    image.put(STATION, {"pending": 70_000, "event_number": 2**33})
    assert image.get(BY_NAME["pending"]) == 0xFFFF
    assert image.get(BY_NAME["event_number"]) == 0xFFFFFFFF


def request(transaction: int, function: int, address: int, count: int) -> bytes:
    return struct.pack(">HHHBBHH", transaction, 0, 6, 1, function, address, count)


def answer_to(connection: socket.socket) -> bytes:
    head = connection.recv(7, socket.MSG_WAITALL)
    return head + connection.recv(int.from_bytes(head[4:6], "big") - 1, socket.MSG_WAITALL)


def test_every_request_of_a_segment_is_answered_in_order() -> None:
    with sink_of() as (_, port, _, _), socket.create_connection(("127.0.0.1", port), 5) as plc:
        plc.sendall(b"".join(request(number, 3, 0, 2) for number in range(1, 21)))
        numbers = [int.from_bytes(answer_to(plc)[:2], "big") for _ in range(20)]
        assert numbers == list(range(1, 21))
        # In pieces, as a slow link brings them.
        for byte in request(77, 4, 0, 1):
            plc.sendall(bytes([byte]))
        assert answer_to(plc)[:2] == (77).to_bytes(2, "big")


@pytest.mark.parametrize(
    ("function", "count", "answer"),
    [(3, 0, b"\x83\x03"), (3, 126, b"\x83\x03"), (4, 0, b"\x84\x03"), (99, 1, b"\xe3\x01")],
)
def test_a_wrong_request_is_answered_by_its_function(
    function: int, count: int, answer: bytes
) -> None:
    with sink_of() as (_, port, _, _), socket.create_connection(("127.0.0.1", port), 5) as plc:
        plc.sendall(request(5, function, 0, count))
        assert answer_to(plc)[7:] == answer
        plc.sendall(request(6, 3, 0, 1))
        assert answer_to(plc)[7] == 3


def test_masters_that_never_close_are_ended_the_idlest_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with sink_of() as (_, port, _, _), contextlib.ExitStack() as stack:
        masters = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            for _ in range(MOST_CLIENTS)
        ]
        for master in (*masters, masters[0]):
            master.sendall(request(1, 3, 0, 1))
            answer_to(master)
        for _ in range(3):
            late = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            late.sendall(request(2, 3, 0, 1))
            assert answer_to(late)[7] == 3
        assert [master.recv(1) for master in masters[1:3]] == [b"", b""]
        masters[0].sendall(request(3, 3, 0, 1))
        assert answer_to(masters[0])[7] == 3
    assert capsys.readouterr().err.count("clients are connected to the Modbus sink plc") == 1


def test_what_is_no_modbus_is_disconnected() -> None:
    with sink_of() as (_, port, _, _), socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: plc\r\n\r\n")
        assert client.recv(100) == b""


def test_a_fault_that_repeats_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    loop = LoopThread("faulty")

    async def fail() -> None:
        for _ in range(5):
            context = {"message": "socket.accept() out of system resource"}
            asyncio.get_running_loop().call_exception_handler(context)

    loop.run(fail(), 5)
    loop.close(5)
    assert capsys.readouterr().err.count("out of system resource") == 1


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EMFILE, "disconnect clients"), (errno.EROFS, "writable"), (errno.ENOSPC, "free some")],
)
def test_a_picture_that_is_not_written_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    def fail(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.mkstemp", fail)
    with pytest.raises(SemedgeError, match=remedy):
        write_atomically(tmp_path / "frame.png", b"")

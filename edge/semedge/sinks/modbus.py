"""Events, state and settings in the registers of a Modbus server."""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import threading
from typing import Any, Literal

from pydantic import Field

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.core.optional import import_extra
from semedge.sinks.base import Sink
from semedge.sinks.modbus_registers import (
    ANSWERS,
    CAMERA,
    CAMERA_EVERY,
    CAMERAS_FROM,
    MOST_CAMERAS,
    REGISTERS,
    REQUESTS,
    SETTINGS,
    STATION,
    VERDICTS,
    Image,
    WordOrder,
    camera_values,
    event_values,
    station_values,
)
from semedge.sinks.server import REFRESH_EVERY_S, ServerSection, ServerSink

logger = logging.getLogger(__name__)

SETTING = {register.name: register for register in SETTINGS}
READING = (1, 2, 3, 4)
WRITING = (6, 16)


class ModbusSection(ServerSection):
    """`[sinks.NAME]` with `kind = "modbus"`: a Modbus TCP server that a PLC reads."""

    kind: Literal["modbus"] = Field(description="The word `modbus`.")
    host: str = Field(
        default="127.0.0.1",
        description="Address that it listens on; Modbus has no passwords, so use that of the "
        "machine's network alone.",
    )
    port: int = Field(default=5020, ge=1, le=65535, description="Port that it listens on.")
    word_order: WordOrder = Field(
        default="big", description="Which word of a value of 32 bits comes first."
    )
    byte_order: WordOrder = Field(
        default="big", description="Which byte of each word of a value of 32 bits comes first."
    )
    handshake: bool = Field(
        default=True,
        description="Whether an event is delivered when the PLC has written its number to "
        "`event_taken`; without, as soon as it is in the registers, even if nobody reads it.",
    )

    def open(self, name: str) -> Sink:
        """The sink."""
        return ModbusSink(name, self)


class ModbusSink(ServerSink):
    """Writes each event to the registers, and waits until the PLC has read it."""

    most_cameras = MOST_CAMERAS

    def __init__(self, name: str, section: ModbusSection) -> None:
        super().__init__(name, "Modbus", (section.host, section.port))
        self._section = section
        self._server_module = import_extra("semedge.sinks.modbus_server", "modbus", "A Modbus sink")
        self._simulator = import_extra("pymodbus.simulator", "modbus", "A Modbus sink")
        self._refusals = import_extra("pymodbus.constants", "modbus", "A Modbus sink").ExcCodes
        self._image = Image(section.word_order, section.byte_order)
        self._lock = threading.Lock()
        self._event_id: str | None = None
        self._requests: queue.Queue[str] = queue.Queue(1)

    def deliver(self, event: Event) -> None:
        """Write the event to the registers, and wait until the PLC writes its number back."""
        self._listen(event.station)
        with self._lock:
            self._event_id = event.event_id
            self._image.put(STATION, event_values(event, self._cameras))
        if not self._section.handshake:
            return
        self._await_confirmation(
            event.number & 0xFFFFFFFF,
            lambda: self._setting("event_taken"),
            self._section.timeout_s,
            "the PLC did not confirm",
        )

    async def _start(self, _station: str) -> Any:
        if self._state is not None:
            self._refresh()
        data = self._simulator.SimData(
            0, count=REGISTERS, values=0, datatype=self._simulator.DataType.REGISTERS
        )
        device = self._simulator.SimDevice(id=0, simdata=[data], action=self._on_access)
        server = self._server_module.LimitedServer(self.name, device, self._address)
        await server.serve_forever(background=True)
        return server

    async def _stop(self, server: Any) -> None:
        await server.shutdown()

    async def _on_access(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | None,
    ) -> Any:
        """Answer a client, in the server's thread; an `ExcCodes` refuses the access."""
        if values is None:
            if function not in READING:
                return self._refusals.ILLEGAL_FUNCTION
            with self._lock:
                registers[:] = self._image.words
            return None
        if function not in WRITING:
            return self._refusals.ILLEGAL_FUNCTION
        return self._write(address, values)

    def _write(self, address: int, values: list[int]) -> Any:
        writable = SETTINGS if self._section.accept_settings else (SETTING["event_taken"],)
        allowed = {
            each
            for register in writable
            for each in range(register.address, register.address + register.words)
        }
        if not allowed.issuperset(range(address, address + len(values))):
            return self._refusals.ILLEGAL_ADDRESS
        with self._lock:
            self._image.words[address : address + len(values)] = values
            code = int(self._image.get(SETTING["request"]))
            if code and SETTING["request"].address in range(address, address + len(values)):
                self._image.put(SETTINGS, {"request": 0})
                return self._accept(code)
        return None

    def _accept(self, code: int) -> Any:
        if code >= len(REQUESTS):
            return self._refusals.ILLEGAL_VALUE
        try:
            self._requests.put_nowait(REQUESTS[code])
        except queue.Full:
            return self._refusals.DEVICE_BUSY
        self._image.put(STATION, {"answer": ANSWERS.index("at work")})
        return None

    def _setting(self, name: str) -> float:
        with self._lock:
            return self._image.get(SETTING[name])

    def _work(self) -> None:
        answer = None
        try:
            with contextlib.suppress(queue.Empty):
                answer = self._do(self._requests.get(timeout=REFRESH_EVERY_S))
            self._refresh()
        except Exception:
            with self._lock:
                self._image.put(STATION, {"verdict": VERDICTS.index("not inspecting")})
                for number in range(len(self._cameras)):
                    base = CAMERAS_FROM + number * CAMERA_EVERY
                    self._image.put(CAMERA, {"verdict": VERDICTS.index("not inspecting")}, base)
            raise
        finally:
            if answer is not None:
                with self._lock:
                    self._image.put(STATION, {"answer": ANSWERS.index(answer)})

    def _do(self, action: str) -> str:
        assert self._handler is not None
        try:
            self._handler.handle(self._request(action), f"modbus {self.name}")
        except SemedgeError:
            return "refused"
        except Exception:
            logger.exception(
                f"{self.name}: a request failed: {action}.", extra={"event": "request-failed"}
            )
            return "refused"
        return "done"

    def _request(self, action: str) -> dict[str, Any]:
        """The request in the registers of the settings."""
        assert self._handler is not None
        if action == "acknowledge":
            return {"action": action, "event_id": self._event_id}
        camera = int(self._setting("camera"))
        request = {"action": action, "camera": _named(self._cameras, camera)}
        if action == "recipe":
            return {
                **request,
                "recipe": _named(self._handler.recipes(), int(self._setting("recipe"))),
            }
        warn = self._setting("warn_level")
        return {
            **request,
            "alarm": self._setting("alarm_level"),
            "warn": None if math.isnan(warn) else warn,
        }

    def _refresh(self) -> None:
        """Update the registers from the state."""
        assert self._state is not None
        assert self._handler is not None
        snapshot = self._state.snapshot()
        recipes = self._handler.recipes()
        with self._lock:
            self._image.put(STATION, station_values(snapshot, self.name))
            for number, name in enumerate(self._cameras):
                values = camera_values(snapshot.cameras[name], recipes)
                self._image.put(CAMERA, values, CAMERAS_FROM + number * CAMERA_EVERY)


def _named(names: list[str], number: int) -> str:
    """The name at a place, counted from 1; an impossible name where there is none."""
    return names[number - 1] if 1 <= number <= len(names) else f"number {number}"

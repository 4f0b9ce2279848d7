"""pymodbus's server, for masters as they are: many requests at once, and connections left open.

Imported only where there is a Modbus sink, because it needs the extra `modbus`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.pdu import ExceptionResponse
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler

logger = logging.getLogger(__name__)

MOST_CLIENTS = 32
"""Connections beyond which the one that was silent for the longest time is closed."""
KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
"""A master that is gone without closing is noticed after two minutes."""
HEADER_BYTES = 7
LARGEST_LENGTH = 254
"""Largest value of the header's length: unit, function and at most 252 bytes of data."""
FUNCTIONS = (1, 2, 3, 4, 5, 6, 15, 16)
ERROR_BIT = 0x80


class LimitedServer(ModbusTcpServer):
    """A Modbus TCP server with a limited number of clients."""

    def __init__(self, name: str, device: Any, address: tuple[str, int]) -> None:
        super().__init__(device, address=address)
        self._name = name
        self._clients: list[Client] = []
        self._warned = False

    def callback_new_connection(self) -> Client:
        """A client that has just connected."""
        self._clients = [client for client in self._clients if client.is_open]
        while len(self._clients) >= MOST_CLIENTS:
            if not self._warned:
                self._warned = True
                logger.warning(
                    f"More than {MOST_CLIENTS} clients are connected to the Modbus sink "
                    f"{self._name}, and the idle ones are disconnected; check that its masters "
                    "close their connections.",
                    extra={"event": "modbus-clients"},
                )
            idlest = min(self._clients, key=lambda client: client.heard_s)
            self._clients.remove(idlest)
            idlest.end()
        client = Client(self)
        self._clients.append(client)
        return client


class Client(ServerRequestHandler):
    """One connection: answers each request of a segment, in order."""

    def __init__(self, server: LimitedServer) -> None:
        super().__init__(server, None, None, None)
        self.heard_s = time.monotonic()
        self.is_open = True
        self._requests: deque[bytes] = deque()
        self._answering: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Close the connection."""
        self.is_open = False
        self.close()

    def callback_connected(self) -> None:
        """Ask the system to notice a master that is gone."""
        super().callback_connected()
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in KEEPALIVE:
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def callback_disconnected(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.is_open = False
        super().callback_disconnected(exc)

    def callback_data(self, data: bytes, addr: tuple | None = None) -> int:
        """Take the requests that are whole; the number of bytes they have."""
        self.heard_s = time.monotonic()
        used = 0
        while len(data) - used >= HEADER_BYTES + 1:
            head = data[used : used + HEADER_BYTES]
            protocol, length = (int.from_bytes(head[at : at + 2], "big") for at in (2, 4))
            if protocol or not 2 <= length <= LARGEST_LENGTH:
                # This is not Modbus, and where the next request begins is not known.
                self.end()
                return len(data)
            end = used + HEADER_BYTES - 1 + length
            if end > len(data):
                break
            self._requests.append(data[used:end])
            used = end
        if self._requests and (self._answering is None or self._answering.done()):
            self._answering = asyncio.create_task(self._answer_all())
        return used

    async def _answer_all(self) -> None:
        while self._requests and self.is_open:
            request = self._requests.popleft()
            answer = await self._answer(request[HEADER_BYTES:], request[6])
            answer.transaction_id = int.from_bytes(request[:2], "big")
            answer.dev_id = request[6]
            self.server_send(answer, None)

    async def _answer(self, content: bytes, unit: int) -> Any:
        function = content[0]
        if function not in FUNCTIONS:
            return ExceptionResponse(function & ~ERROR_BIT, ExcCodes.ILLEGAL_FUNCTION)
        request = self.server.decoder.decode(content)
        if request is None:
            return ExceptionResponse(function, ExcCodes.ILLEGAL_VALUE)
        request.dev_id = unit
        try:
            return await request.datastore_update(self.server.context, unit)
        except NoSuchIdException:
            return ExceptionResponse(function, ExcCodes.GATEWAY_NO_RESPONSE)

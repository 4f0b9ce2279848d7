"""Limits of the page's connections: how many, and how long a request may take to arrive."""

from __future__ import annotations

import asyncio
import ipaddress
import resource
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_TIMEOUT_S = 10.0
"""Time for a request to arrive as a whole, from its connection or its first byte on."""

MOST_CONNECTIONS = 640
SHARE_OF_DESCRIPTORS = 2
"""The page uses one half of the file descriptors that the process may have."""

MOST_OF_ONE_ADDRESS = 300
"""More than the pages that may be open, which a proxy fetches from one address."""

BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 31\r\n\r\nToo many connections are open.\n"
)


class ConnectionLimits:
    """Counts the open connections of one page; used by its event loop alone."""

    def __init__(self) -> None:
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most = min(MOST_CONNECTIONS, descriptors // SHARE_OF_DESCRIPTORS)
        self._open: Counter[str] = Counter()
        self.refused = 0

    def take(self, address: str) -> bool:
        """Count a connection, unless there are too many; whether it was counted."""
        by_proxy = address == "" or _is_loopback(address)
        full = self._open.total() >= self._most
        if full or (not by_proxy and self._open[address] >= MOST_OF_ONE_ADDRESS):
            self.refused += 1
            return False
        self._open[address] += 1
        return True

    def release(self, address: str) -> None:
        """A counted connection has ended."""
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]


def limited_protocol(limits: ConnectionLimits) -> type[H11Protocol]:
    """The protocol of a connection, within `limits`."""

    class LimitedProtocol(H11Protocol):
        """HTTP/1.1, where a request that does not arrive in time ends its connection."""

        _address: str | None = None
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            """Accept the connection, or refuse it where there are too many."""
            peer = transport.get_extra_info("peername")
            address = str(peer[0]) if peer else ""
            if not limits.take(address):
                transport.write(BUSY)
                transport.close()
                self.transport = transport
                return
            self._address = address
            super().connection_made(transport)
            self._await_request()

        def connection_lost(self, exc: Exception | None) -> None:
            """Count the connection no longer."""
            self._arrived()
            if self._address is not None:
                limits.release(self._address)
                super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Read a part of a request."""
            if self._address is None:
                return
            super().data_received(data)
            if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
                self._await_request()
            else:
                self._arrived()

        def _await_request(self) -> None:
            if self._deadline is None:
                self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self._expire)

        def _arrived(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _expire(self) -> None:
            self._deadline = None
            if self.transport is not None and not self.transport.is_closing():
                self.transport.abort()

    return LimitedProtocol


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False

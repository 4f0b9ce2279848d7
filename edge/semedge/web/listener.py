"""The page's socket: counts a connection from its arrival on, before any TLS handshake."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import resource
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

HANDSHAKE_TIMEOUT_S = 10.0
"""Time for a client to complete the TLS handshake."""

MOST_CONNECTIONS = 640
SHARE_OF_DESCRIPTORS = 2
"""The page uses one half of the file descriptors that the process may have."""

MOST_OF_ONE_ADDRESS = 300
"""More than the pages that may be open, so that a proxy can request all of them."""

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

    @property
    def open(self) -> int:
        """The number of counted connections."""
        return self._open.total()

    def take(self, address: str) -> bool:
        """Count a connection, unless there are too many; whether it was counted."""
        by_proxy = address == "" or _is_loopback(address)
        full = self.open >= self._most
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


class LimitedListener(socket.socket):
    """A listening socket whose connections are counted from their arrival to their end.

    Parameters
    ----------
    listening
        The socket, which this one replaces.
    limits
        How many connections there may be.
    plain
        Whether the page is served without TLS, so that a refused client can read why.
    """

    def __init__(self, listening: socket.socket, limits: ConnectionLimits, *, plain: bool) -> None:
        super().__init__(
            listening.family, listening.type, listening.proto, fileno=listening.detach()
        )
        self._limits = limits
        self._plain = plain

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection; `ConnectionAbortedError` where it is refused."""
        connection, peer = super().accept()
        address = str(peer[0]) if peer else ""
        if not self._limits.take(address):
            with connection:
                if self._plain:
                    connection.setblocking(False)
                    with contextlib.suppress(OSError):
                        connection.send(BUSY)
            raise ConnectionAbortedError
        return _Counted(connection, lambda: self._limits.release(address)), peer


class _Counted(socket.socket):
    def __init__(self, connection: socket.socket, ended: Callable[[], None]) -> None:
        super().__init__(
            connection.family, connection.type, connection.proto, fileno=connection.detach()
        )
        self._ended: Callable[[], None] | None = ended

    def close(self) -> None:
        """Close the connection, and stop counting it."""
        super().close()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()


class _Loop(asyncio.SelectorEventLoop):
    async def create_server(self, *arguments: Any, **options: Any) -> Any:
        if options.get("ssl") is not None:
            options["ssl_handshake_timeout"] = HANDSHAKE_TIMEOUT_S
        return await super().create_server(*arguments, **options)


def run_with_handshake_limit(serving: Coroutine[Any, Any, None]) -> None:
    """Run a server to its end in an event loop that ends TLS handshakes which stall."""
    loop = _Loop()
    try:
        loop.run_until_complete(serving)
    finally:
        unfinished = asyncio.all_tasks(loop)
        for task in unfinished:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*unfinished, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False

"""The live page's server, in a thread beside the inspection."""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semedge.core.errors import SemedgeError
from semedge.core.optional import import_extra
from semedge.core.section import Secret
from semedge.journal.marked_frames import MOST_BYTES, MarkedFrames
from semedge.journal.reader import JournalReader
from semedge.state.requests import RequestHandler
from semedge.state.state import StationState
from semedge.state.teaching import Teaching
from semedge.web.listener import LimitedListener, run_with_handshake_limit
from semedge.web.section import WebSection

if TYPE_CHECKING:
    from semedge.web.access import Role

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 10.0
GRACE_S = 1
KEEP_ALIVE_S = 10
CLOSE_TIMEOUT_S = 2.0
BACKLOG = 256
PART = "page"
"""Name of this part of the station."""


class PageServer:
    """The page of a running station.

    Parameters
    ----------
    section
        Where it listens, and the token for changes.
    state, handler
        The state of the station, and the handler of requests to change it.
    journal
        The journal with its events.
    pictures
        The folder of the events' pictures.
    most_marked_bytes
        Size of the folder of marked frames above which it is full.
    teaching
        Learns from the station's frames; None where teaching is not possible.
    """

    def __init__(
        self,
        section: WebSection,
        state: StationState,
        handler: RequestHandler,
        journal: JournalReader,
        pictures: Path,
        most_marked_bytes: int = MOST_BYTES,
        teaching: Teaching | None = None,
    ) -> None:
        import_extra("uvicorn", "web", "The live page")
        import_extra("fastapi", "web", "The live page")
        from semedge.web.app import Page, build_app

        loopback = section.host in ("127.0.0.1", "::1", "localhost")
        self._page = Page(
            state,
            handler,
            journal,
            pictures,
            MarkedFrames(pictures, most_marked_bytes),
            teaching,
            tokens=_tokens(section),
            names=frozenset(section.names) if loopback or section.names else None,
            any_address=not loopback,
        )
        self._build_app = lambda: build_app(self._page)
        self._section = section
        self._parts = state.parts
        self._closing = threading.Event()
        self._socket = self._listen(section.port)
        self._port = self._socket.getsockname()[1]
        scheme = "https" if section.certificate else "http"
        self.address = f"{scheme}://{section.host}:{self._port}/"
        self._server = self._new_server()
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def start(self) -> None:
        """Serve; returns when the page can be opened."""
        self._thread.start()
        ends_s = time.monotonic() + START_TIMEOUT_S
        while not self._server.started:
            fault = self._parts.faults().get(PART)
            if fault or time.monotonic() > ends_s:
                self.close()
                raise SemedgeError(
                    f"The page at {self.address} did not start ({fault or 'it hangs'}); correct "
                    "the table [web]."
                )
            time.sleep(0.01)
        logger.info(f"The page is at {self.address}.", extra={"event": "page"})

    def stop(self) -> None:
        """Start to close every connection; returns at once."""
        self._closing.set()
        self._page.broadcast.close()
        self._server.should_exit = True

    def close(self) -> None:
        """Close every connection, and end the thread."""
        self.stop()
        self._thread.join(CLOSE_TIMEOUT_S)
        self._socket.close()

    def _run(self) -> None:
        self._parts.repeat(PART, self._serve, self._closing, hang_after_s=math.inf)

    def _serve(self) -> None:
        """Serve until closed; raises where the server ends by itself."""
        if self._socket.fileno() == -1:
            # The server closed its socket when it failed.
            self._socket = self._listen(self._port)
            self._server = self._new_server()
        try:
            run_with_handshake_limit(self._server.serve(sockets=[self._socket]))
        except SystemExit as error:
            raise SemedgeError(f"The server of the page ended with status {error.code}.") from None
        finally:
            self._socket.close()
        if not self._closing.is_set():
            raise SemedgeError("The server of the page ended by itself.")

    def _listen(self, port: int) -> socket.socket:
        host = self._section.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise SemedgeError(
                f"The page cannot listen on {host} port {port} ({error.strerror}); choose a free "
                "port of this machine."
            ) from error
        plain = self._section.certificate is None
        return LimitedListener(listening, self._page.limits, plain=plain)

    def _new_server(self) -> Any:
        import uvicorn

        from semedge.web.connections import LimitedProtocol

        return uvicorn.Server(
            uvicorn.Config(
                self._build_app(),
                http=LimitedProtocol,
                log_config=None,
                access_log=False,
                server_header=False,
                ssl_certfile=self._section.certificate,
                ssl_keyfile=self._section.private_key,
                timeout_graceful_shutdown=GRACE_S,
                timeout_keep_alive=KEEP_ALIVE_S,
            )
        )


def _tokens(section: WebSection) -> dict[Role, str]:
    secrets: dict[Role, Secret | None] = {
        "viewer": section.viewer_token,
        "operator": section.operator_token,
        "engineer": section.token,
    }
    return {role: secret.read() for role, secret in secrets.items() if secret is not None}

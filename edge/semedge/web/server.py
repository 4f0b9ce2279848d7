"""The live page's server, in a thread beside the inspection."""

from __future__ import annotations

import logging
import socket
import threading
import time
from pathlib import Path
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.core.optional import import_extra
from semedge.journal.reader import JournalReader
from semedge.state.requests import RequestHandler
from semedge.state.state import StationState
from semedge.web.section import WebSection

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 10.0
GRACE_S = 1
CLOSE_TIMEOUT_S = 2.0
BACKLOG = 256


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
    """

    def __init__(
        self,
        section: WebSection,
        state: StationState,
        handler: RequestHandler,
        journal: JournalReader,
        pictures: Path,
    ) -> None:
        uvicorn = import_extra("uvicorn", "web", "The live page")
        import_extra("fastapi", "web", "The live page")
        from semedge.web.app import Page, build_app

        loopback = section.host in ("127.0.0.1", "::1", "localhost")
        self._page = Page(
            state,
            handler,
            journal,
            pictures,
            token=section.token.read() if section.token else None,
            names=frozenset(section.names) if loopback else None,
        )
        self._socket = _listening(section)
        port = self._socket.getsockname()[1]
        scheme = "https" if section.certificate else "http"
        self.address = f"{scheme}://{section.host}:{port}/"
        self._server = uvicorn.Server(
            uvicorn.Config(
                build_app(self._page),
                log_config=None,
                access_log=False,
                server_header=False,
                ssl_certfile=section.certificate,
                ssl_keyfile=section.private_key,
                timeout_graceful_shutdown=GRACE_S,
                timeout_keep_alive=30,
            )
        )
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self._fault: BaseException | None = None

    def start(self) -> None:
        """Serve; returns when the page can be opened."""
        self._thread.start()
        ends_s = time.monotonic() + START_TIMEOUT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > ends_s:
                raise SemedgeError(
                    f"The page at {self.address} did not start ({self._fault or 'it hangs'}); "
                    "correct the table [web]."
                )
            time.sleep(0.01)
        logger.info(f"The page is at {self.address}.", extra={"event": "page"})

    def stop(self) -> None:
        """Start to close every connection; returns at once."""
        self._page.broadcast.close()
        self._server.should_exit = True

    def close(self) -> None:
        """Close every connection, and end the thread."""
        self.stop()
        self._thread.join(CLOSE_TIMEOUT_S)
        self._socket.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except BaseException as error:
            self._fault = error


def _listening(section: WebSection) -> Any:
    family = socket.AF_INET6 if ":" in section.host else socket.AF_INET
    try:
        return socket.create_server((section.host, section.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SemedgeError(
            f"The page cannot listen on {section.host} port {section.port} ({error.strerror}); "
            "choose a free port of this machine."
        ) from error

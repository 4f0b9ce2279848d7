"""The web application of the page."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files as package_files
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Path, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from semedge.core.errors import SemedgeError
from semedge.journal.reader import JournalReader
from semedge.state.document import state_document
from semedge.state.requests import LARGEST_REQUEST_BYTES, RequestHandler
from semedge.state.state import StationState
from semedge.web.broadcast import MOST_CLIENTS, Broadcast
from semedge.web.metrics import CONTENT_TYPE, Metrics
from semedge.web.pictures import LivePictures, View

STATIC = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/chart.js": ("chart.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
LONGEST_NAME = 40

EventId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Which = Literal["frame", "overlay"]


class Page:
    """Everything that the responses are made of.

    Parameters
    ----------
    state, handler
        The state of the station, and the handler of requests to change it.
    journal
        The journal with its events.
    pictures
        The folder of the events' pictures; only files in it are served.
    token
        Token that a change requires; None where nothing can be changed.
    names
        Host names that are accepted; None for all.
    """

    def __init__(
        self,
        state: StationState,
        handler: RequestHandler,
        journal: JournalReader,
        pictures: FilePath,
        *,
        token: str | None,
        names: frozenset[str] | None,
    ) -> None:
        self.state = state
        self.handler = handler
        self.broadcast = Broadcast(state, journal, handler.recipes)
        self.live = LivePictures(state)
        self.metrics = Metrics(state)
        self._journal = journal
        self._pictures = pictures.resolve()
        self._token = token
        self._names = names

    def picture(self, event_id: str, which: Which) -> FilePath | None:
        """File of an event's picture; None where there is none, or the journal cannot be read."""
        try:
            named = self._journal.picture(event_id, which)
        except SemedgeError:
            return None
        path = None if named is None else named.resolve()
        inside = path is not None and path.is_relative_to(self._pictures) and path.is_file()
        return path if inside else None

    def check_name(self, request: Request) -> None:
        """Refuse a host name that is not the page's: another site may have sent the browser."""
        name = request.url.hostname or ""
        if self._names is not None and name not in self._names and not _is_loopback(name):
            raise HTTPException(
                421, f"This page is not served under the name {name}; add it to web.names."
            )

    def check_token(self, request: Request) -> None:
        """Refuse a request without the right token."""
        if self._token is None:
            raise HTTPException(
                403, "Nothing can be changed: the station file has no web.token; add one."
            )
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # Compared as bytes in constant time, so that the duration does not reveal the token.
        known = hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode())
        if scheme.lower() != "bearer" or not known:
            raise HTTPException(
                401,
                "The token is wrong; enter that of the station file.",
                {"WWW-Authenticate": "Bearer"},
            )


class Guard:
    """Refuses host names that are not the page's, and adds security headers."""

    def __init__(self, app: ASGIApp, page: Page) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            self._page.check_name(Request(scope))
        except HTTPException as refusal:
            refused = JSONResponse({"detail": refusal.detail}, refusal.status_code)
            await refused(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def build_app(page: Page) -> FastAPI:
    """The server's application."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        sending = asyncio.create_task(page.broadcast.run())
        yield
        sending.cancel()

    app = FastAPI(
        title="semedge", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan
    )

    app.add_middleware(Guard, page=page)
    _add_files(app)
    _add_views(app, page)
    _add_health(app, page)
    _add_changes(app, page)
    return app


def _add_files(app: FastAPI) -> None:
    """Serve the page itself: these files and no others."""
    folder = package_files("semedge").joinpath("web/static")
    for path, (name, kind) in STATIC.items():
        content = folder.joinpath(name).read_bytes()

        def send(content: bytes = content, kind: str = kind) -> Response:
            return Response(content, media_type=kind)

        app.add_api_route(path, lambda send=send: send(), methods=["GET"])


def _add_views(app: FastAPI, page: Page) -> None:
    @app.get("/api/stream")
    async def stream() -> Response:
        if page.broadcast.clients >= MOST_CLIENTS:
            raise HTTPException(503, "Too many pages are open; close some.")
        return StreamingResponse(page.broadcast.listen(), media_type="text/event-stream")

    @app.get("/api/state")
    def state() -> Any:
        return state_document(page.state.snapshot())

    @app.get("/live/{camera}/{view}.jpg")
    def live(camera: str, view: View) -> Response:
        picture = page.live.jpeg(camera, view)
        if picture is None:
            raise HTTPException(404, "This camera has no frame yet.")
        sequence, content = picture
        return Response(content, media_type="image/jpeg", headers={"X-Sequence": str(sequence)})

    @app.get("/pictures/{event_id}/{which}.png")
    def picture(event_id: EventId, which: Which) -> Response:
        path = page.picture(event_id, which)
        if path is None:
            raise HTTPException(404, "This event has no such picture, or it has been deleted.")
        return FileResponse(path, media_type="image/png")


def _add_health(app: FastAPI, page: Page) -> None:
    @app.get("/healthz")
    async def healthz() -> Any:
        return {"status": "alive"}

    @app.get("/readyz")
    def readyz() -> Response:
        snapshot = page.state.snapshot()
        missing = {
            name: camera.reason or camera.activity
            for name, camera in snapshot.cameras.items()
            if camera.activity != "inspecting"
        }
        ready = snapshot.qualified and not missing
        document = {"ready": ready, "armed": snapshot.qualified, "not_inspecting": missing}
        return JSONResponse(document, 200 if ready else 503)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(page.metrics.render(), headers={"Content-Type": CONTENT_TYPE})


def _add_changes(app: FastAPI, page: Page) -> None:
    @app.post("/api/ask")
    async def change(request: Request) -> Response:
        page.check_token(request)
        try:
            document = json.loads(await _limited_body(request))
            if not isinstance(document, dict):
                raise ValueError("not an object")
        except (ValueError, RecursionError):
            raise HTTPException(400, "The request is not a JSON object; send one.") from None
        name = str(document.pop("who", "")).strip()[:LONGEST_NAME]
        who = f"page: {name}" if name.isprintable() and name else "page"
        try:
            message = await asyncio.to_thread(page.handler.handle, document, who)
        except SemedgeError as error:
            raise HTTPException(422, str(error)) from None
        return JSONResponse({"message": message})

    @app.post("/api/token")
    async def token(request: Request) -> Response:
        page.check_token(request)
        return JSONResponse({"message": "The token is right."})


async def _limited_body(request: Request) -> bytes:
    """The request's body; refused before more of it than allowed is in memory."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_REQUEST_BYTES:
            # Without this the server would read and discard the rest.
            headers = {"Connection": "close"}
            raise HTTPException(
                413, f"A request has at most {LARGEST_REQUEST_BYTES:,} bytes.", headers
            )
    return body


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

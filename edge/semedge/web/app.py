"""The web application of the page."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files as package_files
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Path, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from semedge.core.errors import SemedgeError
from semedge.journal.marked_frames import MarkedFrames
from semedge.journal.reader import JournalReader
from semedge.state.document import state_document
from semedge.state.requests import RequestHandler
from semedge.state.state import StationState
from semedge.state.teaching import Teaching
from semedge.web.access import COOKIE, Access, Role
from semedge.web.broadcast import MOST_CLIENTS, Broadcast
from semedge.web.event_crops import EventCrops
from semedge.web.frames import FramesView, add_frames
from semedge.web.history import READING, add_history
from semedge.web.listener import ConnectionLimits
from semedge.web.metrics import CONTENT_TYPE, Metrics
from semedge.web.pictures import LivePictures, Size, View
from semedge.web.posted import json_object, person_of, role_of, skip_short_body
from semedge.web.regions import add_regions
from semedge.web.teaching import add_teaching

STYLES = ("page", "teach")
SCRIPTS = (
    *("page", "dom", "station", "access", "live", "picture", "chart", "events", "history"),
    *("hours", "frames", "zoom", "regions", "teach", "tiles", "samples", "bars"),
)
STATIC = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"/{name}.css": (f"{name}.css", "text/css; charset=utf-8") for name in STYLES},
    **{f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in SCRIPTS},
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
FOR_ALL = {*STATIC, "/healthz", "/readyz"}
"""Paths that need no viewer's token: the page without its content, and what a watchdog reads."""

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
    marked
        The frames that were marked.
    teaching
        Learns from the station's frames; None where nothing can be taught.
    tokens
        Tokens that a change requires, by role; none where nothing can be changed.
    names
        Host names that are accepted beside those of the machine itself; None for all.
    any_address
        Whether an address of the machine is accepted in place of a name.
    """

    def __init__(
        self,
        state: StationState,
        handler: RequestHandler,
        journal: JournalReader,
        pictures: FilePath,
        marked: MarkedFrames,
        teaching: Teaching | None = None,
        *,
        tokens: Mapping[Role, str],
        names: frozenset[str] | None,
        any_address: bool = False,
    ) -> None:
        self.state = state
        self.handler = handler
        self.broadcast = Broadcast(state, journal, handler.recipes)
        self.live = LivePictures(state, self.broadcast.shown)
        self.journal = journal
        self.access = Access(
            tokens,
            # In another thread, since the journal may wait for the disk.
            lambda address: asyncio.get_running_loop().run_in_executor(
                None, handler.audit_refusal, address
            ),
        )
        self.limits = ConnectionLimits()
        self.metrics = Metrics(
            state,
            {
                "page_tokens_refused": lambda: self.access.refused,
                "page_connections_refused": lambda: self.limits.refused,
            },
        )
        self.teaching = teaching
        self.frames = FramesView(state.recent, marked, journal)
        self._marked = marked
        self._crops = EventCrops()
        self._pictures = pictures.resolve()
        self._names = names
        self._any_address = any_address

    def picture(self, event_id: str, which: Which) -> FilePath | None:
        """File of an event's picture; None where there is none, or the journal cannot be read."""
        try:
            named = self.journal.picture(event_id, which)
        except SemedgeError:
            return None
        path = None if named is None else named.resolve()
        inside = path is not None and path.is_relative_to(self._pictures) and path.is_file()
        if inside or which != "frame":
            return path if inside else None
        kept = self._marked.find_event(event_id)
        return None if kept is None else self._marked.picture(kept.frame_id)

    def crop(self, event_id: str) -> bytes | None:
        """A JPEG of the place of an event's defect; None where there is no picture of it."""
        path = self.picture(event_id, "overlay")
        try:
            event = None if path is None else self.journal.newest_message(event_id)
        except SemedgeError:
            return None
        return None if path is None or event is None else self._crops.jpeg(event, path)

    def check_name(self, request: Request) -> None:
        """Refuse a host name that is not the page's: another site may have sent the browser."""
        name = request.url.hostname or ""
        if self._names is None or name in self._names or _is_loopback(name):
            return
        if not (self._any_address and _is_address(name)):
            raise HTTPException(
                421, f"This page is not served under the name {name}; add it to web.names."
            )


class Guard:
    """Refuses host names that are not the page's and unknown readers, and adds headers."""

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

        request = Request(scope, receive)
        try:
            self._page.check_name(request)
            if request.method in READING and request.url.path not in FOR_ALL:
                self._page.access.check_reading(request)
        except HTTPException as refusal:
            await skip_short_body(request)
            refused = JSONResponse(
                {"detail": refusal.detail}, refusal.status_code, dict(refusal.headers or {})
            )
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
    add_history(app, page.journal)
    add_frames(app, page.frames)
    add_regions(app, page.state)
    _add_health(app, page)
    _add_changes(app, page)
    add_teaching(app, page.teaching, page.access)
    return app


def _add_files(app: FastAPI) -> None:
    """Serve the page itself: these files and no others."""
    folder = package_files("semedge").joinpath("web/static")
    for path, (name, kind) in STATIC.items():
        content = folder.joinpath(name).read_bytes()

        def send(content: bytes = content, kind: str = kind) -> Response:
            return Response(content, media_type=kind)

        app.add_api_route(path, lambda send=send: send(), methods=READING)


def _add_views(app: FastAPI, page: Page) -> None:
    @app.get("/api/stream")
    async def stream() -> Response:
        if page.broadcast.clients >= MOST_CLIENTS:
            raise HTTPException(503, "Too many pages are open; close some.")
        return StreamingResponse(page.broadcast.listen(), media_type="text/event-stream")

    @app.api_route("/api/state", methods=READING)
    def state() -> Any:
        return state_document(page.state.snapshot())

    @app.api_route("/live/{camera}/{view}.jpg", methods=READING)
    def live(camera: str, view: View, frame: int | None = None, size: Size = "screen") -> Response:
        picture = page.live.draw(camera, view, size, frame)
        if picture is None:
            raise HTTPException(404, "This camera has no frame yet.")
        headers = {"X-Sequence": str(picture.sequence), "X-Frame": picture.facts}
        return Response(picture.content, media_type="image/jpeg", headers=headers)

    @app.api_route("/pictures/{event_id}/defect.jpg", methods=READING)
    def crop(event_id: EventId) -> Response:
        content = page.crop(event_id)
        if content is None:
            raise HTTPException(404, "This event has no picture, or it has been deleted.")
        return Response(content, media_type="image/jpeg")

    @app.api_route("/pictures/{event_id}/{which}.png", methods=READING)
    def picture(event_id: EventId, which: Which) -> Response:
        path = page.picture(event_id, which)
        if path is None:
            raise HTTPException(404, "This event has no such picture, or it has been deleted.")
        return FileResponse(path, media_type="image/png")


def _add_health(app: FastAPI, page: Page) -> None:
    @app.api_route("/healthz", methods=READING)
    async def healthz() -> Any:
        return {"status": "alive"}

    @app.api_route("/readyz", methods=READING)
    def readyz() -> Response:
        snapshot = page.state.snapshot()
        missing = {
            name: camera.reason or camera.activity
            for name, camera in snapshot.cameras.items()
            if camera.activity != "inspecting"
        }
        ready = snapshot.qualified and not missing and not snapshot.faults
        document = {
            "ready": ready,
            "armed": snapshot.qualified,
            "not_inspecting": missing,
            "faults": dict(snapshot.faults),
        }
        return JSONResponse(document, 200 if ready else 503)

    @app.api_route("/metrics", methods=READING)
    def metrics() -> Response:
        return Response(page.metrics.render(), headers={"Content-Type": CONTENT_TYPE})


def _add_changes(app: FastAPI, page: Page) -> None:
    @app.post("/api/ask")
    async def change(request: Request) -> Response:
        role = await role_of(page.access, request)
        document = await json_object(request)
        page.access.check(role, document.get("action"))
        who = person_of(document)
        try:
            message = await asyncio.to_thread(page.handler.handle, document, who)
        except SemedgeError as error:
            raise HTTPException(422, str(error)) from None
        return JSONResponse({"message": message})

    @app.post("/api/token")
    async def token(request: Request) -> Response:
        role = page.access.role(request)
        answer = JSONResponse({"message": "The token is right.", "role": role})
        answer.set_cookie(
            COOKIE,
            page.access.begin_session(),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return answer


def _is_loopback(name: str) -> bool:
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

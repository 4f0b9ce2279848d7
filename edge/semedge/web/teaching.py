"""The tab Teach: what it shows, and what it asks of the station."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, HTTPException, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from semedge.core.errors import SemedgeError
from semedge.core.images import to_colour
from semedge.state.teaching import Teaching
from semedge.web.access import Access
from semedge.web.history import READING
from semedge.web.pictures import encode_jpeg, fitted
from semedge.web.posted import json_object, limited_body, person_of, role_of

THUMBNAIL_PX = 240
LARGEST_SAMPLE_BYTES = 32 * 2**20
SAFE_MODE = {
    "available": False,
    "reason": "Nothing can be taught, because no camera is inspected; start the inspection first.",
}
ACTION = "teach"


def add_teaching(app: FastAPI, teaching: Teaching | None, access: Access) -> None:
    """Serve the tab; where there is no teaching, it says so."""

    @app.api_route("/api/teach", methods=READING)
    def lesson() -> Response:
        return JSONResponse(SAFE_MODE if teaching is None else teaching.document())

    @app.post("/api/teach")
    async def change(request: Request) -> Response:
        access.check(await role_of(access, request), ACTION)
        document = await json_object(request)
        who = person_of(document)
        return await _answer(lambda known: {"message": known.handle(document, who)})

    @app.post("/api/teach/sample")
    async def sample(
        request: Request, name: Annotated[str, Query(max_length=200)] = "the sample"
    ) -> Response:
        access.check(await role_of(access, request), ACTION)
        content = await limited_body(request, LARGEST_SAMPLE_BYTES)
        return await _answer(lambda known: known.try_sample(content, name))

    @app.api_route("/teach/{number}.jpg", methods=READING)
    def frame(
        number: Annotated[int, Path(ge=0)], size: Literal["small", "full"] = "small"
    ) -> Response:
        image = None if teaching is None else teaching.image(number)
        if image is None:
            raise HTTPException(404, "There is no such frame in this lesson.")
        picture = to_colour(image).astype(np.uint8)
        shown = fitted(picture, THUMBNAIL_PX) if size == "small" else picture
        return Response(encode_jpeg(shown), media_type="image/jpeg")

    @app.api_route("/teach/sheet.png", methods=READING)
    def sheet() -> Response:
        content = None if teaching is None else teaching.sheet()
        if content is None:
            raise HTTPException(404, "Nothing was learned yet.")
        return Response(content, media_type="image/png")

    async def _answer(carry_out: Callable[[Teaching], dict[str, Any]]) -> Response:
        if teaching is None:
            raise HTTPException(422, str(SAFE_MODE["reason"]))
        try:
            return JSONResponse(await asyncio.to_thread(carry_out, teaching))
        except SemedgeError as error:
            raise HTTPException(422, str(error)) from None

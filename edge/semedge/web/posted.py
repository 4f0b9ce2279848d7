"""Reads the body of a posted request, within limits."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from semedge.state.requests import LARGEST_REQUEST_BYTES
from semedge.web.access import Access, Role

LONGEST_NAME = 40


async def json_object(request: Request) -> dict[str, Any]:
    """The JSON object in a request; `HTTPException` where there is none."""
    content = await limited_body(request, LARGEST_REQUEST_BYTES)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise HTTPException(400, "The request is not a JSON object; send one.")
    return document


def person_of(document: dict[str, Any]) -> str:
    """Take the person's name out of a request, and return it as the audit trail shows it."""
    name = str(document.pop("who", "")).strip()[:LONGEST_NAME]
    return f"page: {name}" if name.isprintable() and name else "page"


async def role_of(access: Access, request: Request) -> Role:
    """The role of the person who posted a request; `HTTPException` where the token is refused."""
    try:
        return access.role(request)
    except HTTPException:
        await skip_short_body(request)
        raise


async def skip_short_body(request: Request) -> None:
    """Read the body of a refused request, unless it is large.

    A connection that is closed before all that was sent is read is reset, and the client may lose
    the answer.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) <= LARGEST_REQUEST_BYTES:
        with suppress(ClientDisconnect):
            await request.body()


async def limited_body(request: Request, most_bytes: int) -> bytes:
    """The request's body; refused before more of it than allowed is in memory."""
    parts = []
    received_bytes = 0
    async for part in request.stream():
        parts.append(part)
        received_bytes += len(part)
        if received_bytes > most_bytes:
            # Without this the server would read and discard the rest.
            headers = {"Connection": "close"}
            raise HTTPException(413, f"A request may have at most {most_bytes:,} bytes.", headers)
    return b"".join(parts)

"""JPEGs over HTTP, as cameras and small boards send them.

Pictures are found by their own markers, not by the parts of the stream: boards leave out the first
boundary, the parts' types or their lengths.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from urllib.parse import unquote, urlsplit, urlunsplit

from semedge.cameras.live import (
    CameraSettingsError,
    Capture,
    CaptureLostError,
    Shot,
    UnreachableError,
)
from semedge.core.jpeg import JpegError, decode_jpeg

BLOCK_BYTES = 65_536
LARGEST_PICTURE_BYTES = 256 * 2**20
START = b"\xff\xd8\xff"
SCAN = 0xDA
STANDALONE = {0x01, *range(0xD0, 0xD8)}
NEXT_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
IN_SCAN = {0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE}
"""Segments that may come between the scans of a progressive JPEG."""
REFUSED = "nothing listens there: connection refused"
UNKNOWN_HOST = "the name of its host is not known"
NO_ROUTE = os.strerror(errno.EHOSTUNREACH)
UNREACHABLE = (REFUSED, UNKNOWN_HOST, NO_ROUTE)
"""Reasons that will be the same in a second."""
MJPEG_TYPES = ("multipart/", "image/jpeg", "image/jpg")
PERMANENT = {401: "refused user or password", 403: "forbids it", 404: "has nothing at this path"}


class MjpegCapture(Capture):
    """An open connection to a server of JPEGs."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response
        self._splitter = JpegSplitter()
        self._waiting: deque[bytes | None] = deque()

    def read(self) -> Shot:
        """The next picture."""
        while not self._waiting:
            try:
                block = self._response.read1(BLOCK_BYTES)
            except (OSError, HTTPException) as error:
                raise CaptureLostError(_reason(error)) from error
            if not block:
                raise CaptureLostError("the camera ended the stream")
            self._waiting.extend(self._splitter.feed(block))
        content = self._waiting.popleft()
        try:
            return Shot(None) if content is None else Shot.of(decode_jpeg(content))
        except JpegError:
            return Shot(None)

    def close(self) -> None:
        """Close the connection."""
        self._response.close()

    def interrupt(self) -> None:
        """End a read that waits; callable from any thread."""
        # A response that has ended has no connection any more.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            descriptor = os.dup(self._response.fileno())
            with socket.socket(fileno=descriptor) as connection:
                connection.shutdown(socket.SHUT_RDWR)


class JpegSplitter:
    """Cuts a stream of bytes into JPEGs."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0

    def feed(self, block: bytes) -> Iterator[bytes | None]:
        """The pictures that `block` completes; None for each that was cut off."""
        self._buffer += block
        while True:
            if self._at == 0 and not self._begin():
                return
            end = self._find_end()
            if end is None:
                if len(self._buffer) > LARGEST_PICTURE_BYTES:
                    del self._buffer[: len(START)]
                    self._at = 0
                    yield None
                    continue
                return
            is_whole, stop = end
            yield bytes(self._buffer[:stop]) if is_whole else None
            del self._buffer[:stop]
            self._at = 0

    def _begin(self) -> bool:
        """Drop what comes before the next picture; whether there is one."""
        found = self._buffer.find(START)
        if found < 0:
            del self._buffer[: max(0, len(self._buffer) - len(START) + 1)]
            return False
        del self._buffer[:found]
        self._at = 2
        self._in_scan = False
        return True

    def _find_end(self) -> tuple[bool, int] | None:
        """Whether the picture is whole, and where it ends; None where more bytes are needed."""
        buffer = self._buffer
        while True:
            found = NEXT_MARKER.search(buffer, self._at)
            if found is None:
                # The last byte may be the first of a marker.
                self._at = max(self._at, len(buffer) - 1)
                return None
            marker = found[1][0]
            if marker == 0xD9:
                return True, found.end()
            if marker == 0xD8:
                return False, found.start()
            self._at = found.end()
            if marker in STANDALONE or (self._in_scan and marker not in IN_SCAN):
                continue
            if len(buffer) < self._at + 2:
                self._at = found.start()
                return None
            length = int.from_bytes(buffer[self._at : self._at + 2], "big")
            if len(buffer) < self._at + length:
                self._at = found.start()
                return None
            self._at += length
            self._in_scan = self._in_scan or marker == SCAN


def open_mjpeg(address: str, timeout_s: float) -> MjpegCapture | None:
    """A connection to a server of JPEGs; None where it sends something else.

    Raises `CameraSettingsError` where another attempt would not help, and `CaptureLostError` where
    it may.
    """
    plain, opener = _opener(address)
    try:
        response = opener.open(plain, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            answer = f"the camera answered {error.code} {error.reason}".rstrip()
        what = PERMANENT.get(error.code)
        if what is None:
            raise CaptureLostError(answer) from None
        raise CameraSettingsError(f"it {what}: {answer}") from None
    except ValueError as error:
        raise CameraSettingsError("its address cannot be understood") from error
    except (OSError, HTTPException) as error:
        reason = _reason(error)
        raise (UnreachableError if reason in UNREACHABLE else CaptureLostError)(reason) from None
    kind = response.headers.get_content_type()
    if kind.startswith(MJPEG_TYPES) or kind in ("text/plain", "application/octet-stream"):
        return MjpegCapture(response)
    response.close()
    return None


def _opener(address: str) -> tuple[str, urllib.request.OpenerDirector]:
    """The address without user and password, and what answers the camera's questions for them."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    plain = urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if parts.username is not None:
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        user, password = unquote(parts.username), unquote(parts.password or "")
        passwords.add_password(None, plain, user, password)
        handlers += [
            urllib.request.HTTPBasicAuthHandler(passwords),
            urllib.request.HTTPDigestAuthHandler(passwords),
        ]
    return plain, urllib.request.build_opener(*handlers)


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ConnectionRefusedError):
        return REFUSED
    if isinstance(cause, socket.gaierror):
        return UNKNOWN_HOST
    if isinstance(cause, TimeoutError):
        return "it did not answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return "it broke off its answer"

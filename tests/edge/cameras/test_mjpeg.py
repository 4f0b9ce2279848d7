"""JPEGs over HTTP in the dialects of small boards, and pictures that were cut off."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from semedge.cameras import open_camera
from semedge.cameras.mjpeg import JpegSplitter
from semedge.core.errors import SemedgeError

NOISE = np.random.default_rng(3).integers(0, 256, (64, 80), np.uint8)
PICTURES = [
    cv2.imencode(".jpg", np.clip(NOISE // 2 + 40 * number, 0, 255).astype(np.uint8))[1].tobytes()
    for number in range(3)
]
PROGRESSIVE = cv2.imencode(".jpg", NOISE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
THUMBNAIL = cv2.imencode(".jpg", NOISE[:8, :8])[1].tobytes()
WITH_THUMBNAIL = (
    PICTURES[0][:2]
    + b"\xff\xe1"
    + (len(THUMBNAIL) + 8).to_bytes(2, "big")
    + b"Exif\0\0"
    + THUMBNAIL
    + PICTURES[0][2:]
)


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_pictures_are_found_by_their_markers(size: int) -> None:
    stream = b"--frame\r\nX: \xff\xd8 1\r\n\r\n".join(
        [b"", PICTURES[0], PROGRESSIVE, PICTURES[1][:900], WITH_THUMBNAIL, PICTURES[2]]
    )
    splitter = JpegSplitter()
    found = [
        picture
        for at in range(0, len(stream), size)
        for picture in splitter.feed(stream[at : at + size])
    ]
    assert found == [PICTURES[0], PROGRESSIVE, None, WITH_THUMBNAIL, PICTURES[2]]


class Dialect(BaseHTTPRequestHandler):
    """A board; the path says what is odd about it."""

    def do_GET(self) -> None:
        """Stream, answer with one picture, or refuse."""
        kind = self.path.strip("/")
        if kind.isdecimal():
            self.send_response(int(kind))
            self.end_headers()
            return
        self.send_response(200)
        stream = "multipart/x-mixed-replace; boundary=frame"
        self.send_header("Content-Type", "image/jpeg" if kind == "snapshot" else stream)
        self.end_headers()
        if kind == "snapshot":
            self.wfile.write(PICTURES[0])
            return
        try:
            for number in range(10_000):
                self.wfile.write(self._part(kind, number))
                time.sleep(0.02)
        except OSError:
            self.close_connection = True

    def _part(self, kind: str, number: int) -> bytes:
        body = PICTURES[number % len(PICTURES)]
        boundary = b"" if kind == "nofirst" and number == 0 else b"--frame\r\n"
        typed = b"" if kind == "notype" else b"Content-Type: image/jpeg\r\n"
        length = b"" if kind == "nolength" else b"Content-Length: %d\r\n" % len(body)
        if kind == "hole" and number % 3 == 2:
            body = body[:1200] + body[1300:]
        if kind == "bare":
            return body
        return boundary + typed + length + b"\r\n" + body + b"\r\n"

    def log_message(self, *arguments: object) -> None:
        """Nothing on stderr."""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Dialect) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    "kind", ["plain", "nofirst", "notype", "nolength", "bare", "hole", "snapshot"]
)
def test_every_dialect_is_read(host: str, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    truths = [cv2.imdecode(np.frombuffer(each, np.uint8), 0) for each in PICTURES]
    with open_camera(f"{host}/{kind}", timeout_s=5) as camera:
        for _ in range(1 if kind == "snapshot" else 6):
            frame = next(camera)
            assert any(np.array_equal(frame.image, truth) for truth in truths)
            assert frame.colours is None
        if kind == "hole":
            assert camera.lost > 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "refused user or password: the camera answered 401"),
        (403, "forbids it: the camera answered 403"),
        (404, "has nothing at this path: the camera answered 404"),
    ],
)
def test_what_the_camera_answers_is_said_at_once(host: str, status: int, sentence: str) -> None:
    began_s = time.monotonic()
    with pytest.raises(SemedgeError, match=sentence):
        open_camera(f"{host}/{status}", timeout_s=20)
    assert time.monotonic() - began_s < 2


def test_closing_ends_a_read_that_waits(host: str) -> None:
    camera = open_camera(f"{host}/snapshot", timeout_s=30)
    next(camera)
    began_s = time.monotonic()
    camera.close()
    assert time.monotonic() - began_s < 3

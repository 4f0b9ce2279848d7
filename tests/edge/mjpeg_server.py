"""A camera that streams MJPEG: `mjpeg_server.py PORT [USER:PASSWORD] [FOLDER]`.

It shows the time, or the images of a folder in turn, looked for again at each.
"""

from __future__ import annotations

import base64
import itertools
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import clock_picture
import cv2
import numpy as np
from numpy.typing import NDArray

FRAMES_A_SECOND = 25
QUALITY = (cv2.IMWRITE_JPEG_QUALITY, 98)


class Stream(BaseHTTPRequestHandler):
    """Answers every request with pictures until the client goes."""

    credentials = ""
    folder: Path | None = None

    def do_GET(self) -> None:
        """Stream, where the client may see it."""
        expected = "Basic " + base64.b64encode(self.credentials.encode()).decode()
        if self.credentials and self.headers.get("Authorization") != expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        try:
            for number in itertools.count():
                self._send_picture(number)
                time.sleep(1 / FRAMES_A_SECOND)
        except OSError:
            self.close_connection = True

    def _send_picture(self, number: int) -> None:
        body = cv2.imencode(".jpg", self._picture(number), QUALITY)[1].tobytes()
        head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body + b"\r\n")

    def _picture(self, number: int) -> NDArray[np.uint8]:
        if self.folder is None:
            gray = np.frombuffer(clock_picture.draw(time.time()), np.uint8)
            return gray.reshape(clock_picture.HEIGHT_PX, clock_picture.WIDTH_PX)
        files = sorted(self.folder.glob("*.png"))
        return cv2.imread(str(files[number % len(files)]), cv2.IMREAD_GRAYSCALE)


if __name__ == "__main__":
    Stream.credentials = sys.argv[2] if len(sys.argv) > 2 else ""
    Stream.folder = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Stream).serve_forever()

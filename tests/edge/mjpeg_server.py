"""A camera that streams MJPEG: `mjpeg_server.py PORT [USER:PASSWORD]`."""

from __future__ import annotations

import base64
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import clock_picture
import cv2
import numpy as np

FRAMES_A_SECOND = 25


class Stream(BaseHTTPRequestHandler):
    """Answers every request with pictures until the client goes."""

    credentials = ""

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
            while True:
                self._send_picture()
                time.sleep(1 / FRAMES_A_SECOND)
        except OSError:
            self.close_connection = True

    def _send_picture(self) -> None:
        gray = np.frombuffer(clock_picture.draw(time.time()), np.uint8)
        picture = gray.reshape(clock_picture.HEIGHT_PX, clock_picture.WIDTH_PX)
        body = cv2.imencode(".jpg", picture)[1].tobytes()
        head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body + b"\r\n")


if __name__ == "__main__":
    Stream.credentials = sys.argv[2] if len(sys.argv) > 2 else ""
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Stream).serve_forever()

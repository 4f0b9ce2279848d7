"""A receiver of webhooks: `webhook_server.py PORT LOG [STATUS]`.

Writes when each request came, its path, headers and body as a JSON line to LOG before it answers.
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(BaseHTTPRequestHandler):
    """Takes every POST."""

    protocol_version = "HTTP/1.1"
    status = 204
    log = -1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        line = {
            "at_s": time.time(),
            "path": self.path,
            "headers": dict(self.headers),
            "body": body.decode(),
        }
        os.write(self.log, json.dumps(line).encode() + b"\n")
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The log is the file."""


if __name__ == "__main__":
    Receiver.log = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    Receiver.status = int(sys.argv[3]) if len(sys.argv) > 3 else 204
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()

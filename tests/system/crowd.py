"""Viewers of a page: `crowd.py ADDRESS COUNT`; prints `ready` when all are served, and stays.

Each reads the stream of events, and fetches a picture as often as the page's messages say.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from urllib.parse import urlsplit


class Viewer:
    """One open page, as the browser's script behaves."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._pictured_s = 0.0
        self.served = asyncio.Event()

    async def view(self) -> None:
        """Read until cancelled."""
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=2**22)
        writer.write(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while line := await reader.readline():
            if line.startswith(b'data: {"now"'):
                self.served.set()
                await self._look(line)
        writer.close()

    async def _look(self, line: bytes) -> None:
        """Fetch a picture where the message says that it is time."""
        found = re.search(rb'"picture_every_s":([0-9.]+)', line[:300])
        assert found is not None
        if time.monotonic() - self._pictured_s < float(found[1]):
            return
        self._pictured_s = time.monotonic()
        camera = next(iter(json.loads(line.removeprefix(b"data: "))["state"]["cameras"]))
        reader, writer = await asyncio.open_connection(self._host, self._port)
        request = (
            f"GET /live/{camera}/heat.jpg HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        )
        writer.write(f"{request}\r\n".encode())
        await reader.read()
        writer.close()


async def main() -> None:
    """Open all pages, and keep them open."""
    address = urlsplit(sys.argv[1])
    viewers = [
        Viewer(str(address.hostname), int(address.port or 80)) for _ in range(int(sys.argv[2]))
    ]
    tasks = [asyncio.create_task(viewer.view()) for viewer in viewers]
    await asyncio.gather(*(viewer.served.wait() for viewer in viewers))
    print("ready", flush=True)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main())

"""A proxy of an RTSP server that loses packets of pictures, as a camera with a full buffer does."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import threading
from collections.abc import Iterator

INTERLEAVED = ord("$")
PICTURES = 0
"""Channel of the pictures' packets."""


@contextlib.contextmanager
def lossy_proxy(port: int, loss: float) -> Iterator[int]:
    """The port of a proxy of `port` of this machine, for one client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, port, loss), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
    thread.join(10)


def _serve(listener: socket.socket, port: int, loss: float) -> None:
    client, _ = listener.accept()
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=_copy, args=(client, server), daemon=True)
        back.start()
        _lose(server, client, loss)
        back.join(10)


def _copy(origin: socket.socket, to: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := origin.recv(65_536):
            to.sendall(block)
        to.shutdown(socket.SHUT_RDWR)


def _lose(origin: socket.socket, to: socket.socket, loss: float) -> None:
    rng = random.Random(2)
    buffered = b""
    with contextlib.suppress(OSError):
        while block := origin.recv(65_536):
            buffered += block
            while size := _first_message(buffered):
                message, buffered = buffered[:size], buffered[size:]
                is_picture = message[0] == INTERLEAVED and message[1] == PICTURES
                if not is_picture or rng.random() >= loss:
                    to.sendall(message)
        to.shutdown(socket.SHUT_RDWR)


def _first_message(buffered: bytes) -> int:
    """Size of the packet or the answer that the bytes begin with; 0 where it is not whole."""
    if buffered[:1] == b"$":
        size = 4 + int.from_bytes(buffered[2:4], "big") if len(buffered) >= 4 else 0
    else:
        end = buffered.find(b"\r\n\r\n") + 4
        length = re.search(rb"(?i)content-length:\s*(\d+)", buffered[: max(end, 4)])
        size = end + int(length[1]) if length else end
        size = size if end > 3 else 0
    return size if size <= len(buffered) else 0

"""What a socket in systemd's place has been sent."""

from __future__ import annotations

import socket


def received(listener: socket.socket) -> list[str]:
    """Every message that has come, oldest first."""
    messages = []
    listener.setblocking(False)
    try:
        while True:
            messages.append(listener.recv(4096).decode())
    except BlockingIOError:
        return messages

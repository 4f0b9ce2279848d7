"""What a service tells systemd: that it is ready, that it still makes progress, that it stops."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

PINGS_A_LIMIT = 3
"""Signs of life within the watchdog's limit, so that one that is late does no harm."""


class Supervisor:
    """The notification protocol of systemd, `sd_notify(3)`; silent where no systemd listens.

    The watchdog is told by the thread whose progress matters: call `alive` once in every turn of
    the loop, which costs nothing between two signs of life.

    Parameters
    ----------
    environment
        Holds `NOTIFY_SOCKET` where systemd listens, and `WATCHDOG_USEC` and `WATCHDOG_PID` where
        it waits for signs of life. Both are for this process alone, not for its children.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self.watchdog_s = _watchdog_s(environment) if self._address else None
        self._next_sign_s = 0.0

    def ready(self, status: str) -> None:
        """The station inspects from now on."""
        self._notify(f"READY=1\nSTATUS={_one_line(status)}")

    def reloading(self) -> None:
        """Settings are read again; `ready` says when that is done."""
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, text: str) -> None:
        """A line for `systemctl status`."""
        self._notify(f"STATUS={_one_line(text)}")

    def alive(self) -> None:
        """The loop has come round again."""
        if self.watchdog_s is None or time.monotonic() < self._next_sign_s:
            return
        self._next_sign_s = time.monotonic() + self.watchdog_s / PINGS_A_LIMIT
        self._notify("WATCHDOG=1")

    def stopping(self) -> None:
        """The service ends of its own accord or because it was asked to."""
        self._notify("STOPPING=1")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _notify(self, message: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        try:
            self._socket.sendto(message.encode(), address)
        except OSError:
            # Whoever started the service no longer listens, or is busy: inspection goes on.
            return


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """The longest time without a sign of life; None where nobody waits for one."""
    limit_us = environment.get("WATCHDOG_USEC", "")
    owner = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not limit_us.isdecimal() or int(limit_us) == 0 or owner != str(os.getpid()):
        return None
    return int(limit_us) / 1e6


def _one_line(text: str) -> str:
    return " ".join(text.split())

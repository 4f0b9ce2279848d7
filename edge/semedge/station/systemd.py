"""Notifications to systemd: the station is ready, makes progress, reloads or stops."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

from semedge.state.document import station_verdict
from semedge.state.snapshot import StationSnapshot

logger = logging.getLogger(__name__)

PINGS_A_LIMIT = 3
"""Pings within the watchdog's limit, so that a late one does no harm."""

SHORTEST_HANG_S = 60.0
"""Time in addition to any wait for a frame after which a loop counts as hanging."""


class SystemdNotifier:
    """The notification protocol of systemd, `sd_notify(3)`; does nothing where no systemd listens.

    The watchdog is pinged by the thread whose progress matters: call `ping` in every iteration of
    its loop, which costs nothing until the next ping is due.

    Parameters
    ----------
    environment
        Holds `NOTIFY_SOCKET` where systemd listens, and `WATCHDOG_USEC` and `WATCHDOG_PID` where
        it waits for pings. These are for this process alone, not for its children.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self.watchdog_s = _watchdog_s(environment) if self._address else None
        self._next_ping_s = 0.0

    def ready(self, status: str) -> None:
        """Notify that the station inspects from now on."""
        self._notify(f"READY=1\nSTATUS={_one_line(status)}")

    def reloading(self) -> None:
        """Notify that settings are read again; call `ready` afterwards."""
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, text: str) -> None:
        """Set the line in `systemctl status`."""
        self._notify(f"STATUS={_one_line(text)}")

    def ping(self) -> None:
        """Ping the watchdog, if it is due."""
        if self.watchdog_s is None or time.monotonic() < self._next_ping_s:
            return
        self._next_ping_s = time.monotonic() + self.watchdog_s / PINGS_A_LIMIT
        self._notify("WATCHDOG=1")

    def stopping(self) -> None:
        """Notify that the service stops."""
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
            # The service manager does not listen, or is busy, which must not stop the inspection.
            return


class Heartbeat:
    """Reports to systemd what the station does, and that it is alive, until a loop hangs.

    Parameters
    ----------
    hang_after_s
        Longest iteration of a camera's loop before it counts as hanging, and the watchdog is no
        longer pinged: longer than any wait for a frame.
    """

    def __init__(self, hang_after_s: float = SHORTEST_HANG_S) -> None:
        self._hang_after_s = hang_after_s
        self._notifier = SystemdNotifier()
        self._status = ""
        self._hangs = False

    def start(self) -> None:
        """Report that the station is about to inspect."""
        self._notifier.ready("Starting to inspect.")

    def beat(self, longest_iteration_s: float, snapshot: StationSnapshot) -> None:
        """Report what the station does; called by its main loop.

        Parameters
        ----------
        longest_iteration_s
            Duration of the current iteration of the slowest loop.
        snapshot
            The state of the station.
        """
        if longest_iteration_s > self._hang_after_s:
            if not self._hangs:
                logger.error(
                    f"A camera's loop has hung for {longest_iteration_s:.0f} s; the watchdog is no "
                    "longer pinged, so that systemd restarts the station.",
                    extra={"event": "hangs"},
                )
            self._hangs = True
            return
        self._hangs = False
        self._notifier.ping()
        waiting = sum(snapshot.pending.values())
        status = f"Verdict: {station_verdict(snapshot)}; {waiting} deliveries are pending."
        if status != self._status:
            self._status = status
            self._notifier.status(status)

    def reloading(self) -> None:
        """Report that the station file is read again."""
        self._notifier.reloading()

    def reloaded(self) -> None:
        """Report that the station file was read again, or refused."""
        self._notifier.ready(self._status or "Inspecting.")

    def stopping(self) -> None:
        """Report that the station stops."""
        self._notifier.stopping()

    def close(self) -> None:
        """Close the socket."""
        self._notifier.close()


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """The longest time without a ping; None where no watchdog waits for one."""
    limit_us = environment.get("WATCHDOG_USEC", "")
    owner = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not limit_us.isdecimal() or int(limit_us) == 0 or owner != str(os.getpid()):
        return None
    return int(limit_us) / 1e6


def _one_line(text: str) -> str:
    return " ".join(text.split())

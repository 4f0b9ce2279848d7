"""systemd hears of the service through a datagram socket of its own."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from systemd_socket import heard

from semedge.station.systemd import PINGS_A_LIMIT, Supervisor


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd opens it, and its address as systemd writes it."""
    address = str(tmp_path / "notify")
    if request.param == "abstract":
        address = f"@semedge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(address.replace("@", "\0"))
        opened.settimeout(2)
        yield opened, address


def test_a_life_as_systemd_hears_it(listener: tuple[socket.socket, str]) -> None:
    opened, address = listener
    supervisor = Supervisor({"NOTIFY_SOCKET": address})
    supervisor.ready("Inspecting sim:1;\nall is well.")
    supervisor.alive()
    supervisor.status("Not inspecting.")
    supervisor.reloading()
    supervisor.stopping()
    ready, status, reloading, stopping = heard(opened)
    assert ready == "READY=1\nSTATUS=Inspecting sim:1; all is well."
    assert status == "STATUS=Not inspecting."
    head, monotonic_us = reloading.split("\nMONOTONIC_USEC=")
    assert head == "RELOADING=1"
    assert 0 <= time.monotonic_ns() // 1000 - int(monotonic_us) < 2_000_000
    assert stopping == "STOPPING=1"


def test_the_watchdog_hears_a_turning_loop_in_time(listener: tuple[socket.socket, str]) -> None:
    opened, address = listener
    limit_s = 0.3
    supervisor = Supervisor(
        {
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": str(int(limit_s * 1e6)),
            "WATCHDOG_PID": str(os.getpid()),
        }
    )
    signs_s = []
    ends_s = time.monotonic() + 3 * limit_s
    while time.monotonic() < ends_s:
        supervisor.alive()
        if messages := heard(opened):
            assert messages == ["WATCHDOG=1"]
            signs_s.append(time.monotonic())
        time.sleep(0.002)
    assert max(later - earlier for earlier, later in itertools.pairwise(signs_s)) < limit_s
    assert len(signs_s) <= 3 * PINGS_A_LIMIT + 1, "it says no more than it must"


@pytest.mark.parametrize(
    "watchdog",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"},
    ],
)
def test_no_watchdog_waits(listener: tuple[socket.socket, str], watchdog: dict[str, str]) -> None:
    opened, address = listener
    supervisor = Supervisor({"NOTIFY_SOCKET": address, **watchdog})
    supervisor.alive()
    assert supervisor.watchdog_s is None
    assert heard(opened) == []


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_without_systemd_it_is_silent(environment: dict[str, str]) -> None:
    supervisor = Supervisor({**environment, "WATCHDOG_USEC": "1000000"})
    supervisor.ready("Inspecting.")
    supervisor.alive()
    supervisor.stopping()
    supervisor.close()

"""systemd is notified through a datagram socket."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from station_support import running_station
from systemd_socket import received

from semedge.station.systemd import PINGS_A_LIMIT, Heartbeat, SystemdNotifier


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


def test_each_step_of_a_service_is_notified(listener: tuple[socket.socket, str]) -> None:
    opened, address = listener
    notifier = SystemdNotifier({"NOTIFY_SOCKET": address})
    notifier.ready("Inspecting sim:1;\nall is well.")
    notifier.ping()
    notifier.status("Not inspecting.")
    notifier.reloading()
    notifier.stopping()
    ready, status, reloading, stopping = received(opened)
    assert ready == "READY=1\nSTATUS=Inspecting sim:1; all is well."
    assert status == "STATUS=Not inspecting."
    head, monotonic_us = reloading.split("\nMONOTONIC_USEC=")
    assert head == "RELOADING=1"
    assert 0 <= time.monotonic_ns() // 1000 - int(monotonic_us) < 2_000_000
    assert stopping == "STOPPING=1"


def test_the_watchdog_is_pinged_in_time(listener: tuple[socket.socket, str]) -> None:
    opened, address = listener
    limit_s = 0.3
    notifier = SystemdNotifier(
        {
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": str(int(limit_s * 1e6)),
            "WATCHDOG_PID": str(os.getpid()),
        }
    )
    pings_s = []
    ends_s = time.monotonic() + 3 * limit_s
    while time.monotonic() < ends_s:
        notifier.ping()
        if messages := received(opened):
            assert messages == ["WATCHDOG=1"]
            pings_s.append(time.monotonic())
        time.sleep(0.002)
    assert max(later - earlier for earlier, later in itertools.pairwise(pings_s)) < limit_s
    assert len(pings_s) <= 3 * PINGS_A_LIMIT + 1, "no more pings than needed"


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
    notifier = SystemdNotifier({"NOTIFY_SOCKET": address, **watchdog})
    notifier.ping()
    assert notifier.watchdog_s is None
    assert received(opened) == []


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_without_systemd_nothing_happens(environment: dict[str, str]) -> None:
    notifier = SystemdNotifier({**environment, "WATCHDOG_USEC": "1000000"})
    notifier.ready("Inspecting.")
    notifier.ping()
    notifier.stopping()
    notifier.close()


def test_a_loop_that_hangs_is_left_to_the_watchdog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000")
        state, _ = running_station()
        heartbeat = Heartbeat(hang_after_s=5)
        heartbeat.start()
        heartbeat.beat(1.0, state.snapshot())
        assert "WATCHDOG=1" in received(opened)
        time.sleep(0.05)
        for _ in range(3):
            heartbeat.beat(6.0, state.snapshot())
        assert "WATCHDOG=1" not in received(opened)
        assert capsys.readouterr().err.count("has hung for 6 s") == 1
        heartbeat.beat(0.1, state.snapshot())
        assert "WATCHDOG=1" in received(opened)
        heartbeat.close()


def test_the_status_is_reported_where_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
        state, _ = running_station()
        heartbeat = Heartbeat()
        for _ in range(2):
            heartbeat.beat(0.0, state.snapshot())
        state.change("top", activity="not inspecting", reason="no frame")
        heartbeat.beat(0.0, state.snapshot())
        heartbeat.close()
        statuses = received(opened)
    assert [status.split(":")[1].split(";")[0].strip() for status in statuses] == [
        "good",
        "not inspecting",
    ]

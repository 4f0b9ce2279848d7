"""A watch survives kills at any moment and clocks that jump, and does not grow."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from faults import Fault
from processes import wait_for

from semedge.core.timing import utc_seconds

HERE = Path(__file__).parents[1]
SEMEDGE = [sys.executable, "-c", "from semedge.cli import main; main()"]
GROWTH = 1.05
RESTART_S = 2.0
FAKETIME = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
DAY_S = 86_400.0
MANY_KILLS = 50
SLOW = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.fault(Fault.KILL)
@pytest.mark.parametrize("kills", [5, pytest.param(MANY_KILLS, marks=SLOW)])
def test_kills_at_random_moments_lose_nothing_that_was_printed(
    tiny_file: Path,
    calibration_file: Path,
    images: Path,
    tmp_path: Path,
    kills: int,
    record_property: Callable[[str, object], None],
) -> None:
    rng = random.Random(kills)
    journal = tmp_path / "journal.sqlite"
    command = [
        *SEMEDGE,
        *("watch", "--camera", str(images), "--loop", "--json", "--workers", "1"),
        *("--detector", str(tiny_file), "--calibration", str(calibration_file)),
        *("--journal", str(journal), "--pictures", str(tmp_path / "pictures")),
    ]
    printed: list[dict] = []
    restarts_s: list[float] = []
    spent_s: list[float] = []
    for number in range(kills):
        out, err = tmp_path / f"out{number}", tmp_path / f"err{number}"
        with out.open("w") as out_file, err.open("w") as err_file:
            started_s = time.monotonic()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out_file, stderr=err_file
            )
        try:
            while "Watching" not in err.read_text():
                assert process.poll() is None, err.read_text()
                assert time.monotonic() - started_s < 60
                time.sleep(0.01)
            restarts_s.append(time.monotonic() - started_s)
            spent_s.append(sum(psutil.Process(process.pid).cpu_times()[:2]))
            time.sleep(rng.uniform(0.0, 0.6))
            os.kill(process.pid, signal.SIGKILL)
        finally:
            process.kill()
            process.wait(10)
        assert "Traceback" not in err.read_text()
        for line in out.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                printed.append(json.loads(line))
    connection = sqlite3.connect(journal)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    stored = dict(connection.execute("SELECT number, event_id FROM events").fetchall())
    connection.close()
    assert len(printed) > kills
    assert all(stored[event["number"]] == event["event_id"] for event in printed)
    # At most the event at hand is printed twice, once a kill.
    keys = [event["key"] for event in printed]
    assert len(keys) - len(set(keys)) <= kills
    assert sorted(stored) == list(range(1, len(stored) + 1))
    record_property("kills", kills)
    record_property("events printed, each in the journal", len(printed))
    record_property("events printed twice", len(keys) - len(set(keys)))
    record_property("longest restart", f"{max(restarts_s):.2f} s")
    record_property("median restart", f"{statistics.median(restarts_s):.2f} s")
    assert max(spent_s) < RESTART_S
    if kills >= MANY_KILLS:
        # The few of CI share the computer with whatever else it does, which costs no work.
        assert max(restarts_s) < RESTART_S


@pytest.mark.fault(Fault.CLOCK)
@pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed: apt install faketime")
def test_a_clock_set_back_and_forth_and_a_zone_that_changes(
    tiny_file: Path,
    calibration_file: Path,
    images: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """The watch's own clock is set while it runs, by days; its monotonic clock goes on."""
    offset, zone, out = tmp_path / "offset", tmp_path / "zone", tmp_path / "out"

    def set_clock(days: float, place: str) -> None:
        offset.write_text(f"{days * DAY_S:+.0f}")
        zone.unlink(missing_ok=True)
        zone.symlink_to(f"/usr/share/zoneinfo/{place}")

    def events() -> list[dict]:
        lines = out.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    set_clock(0, "Pacific/Kiritimati")
    command = [
        *SEMEDGE,
        *("watch", "--camera", str(images), "--loop", "--json", "--workers", "1"),
        *("--detector", str(tiny_file), "--calibration", str(calibration_file)),
        *("--journal", str(tmp_path / "journal.sqlite"), "--pictures", str(tmp_path / "pictures")),
    ]
    faked = {
        "LD_PRELOAD": str(FAKETIME[0]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "TZ": f":{zone}",
    }
    with out.open("w") as printed, (tmp_path / "err").open("w") as complaints:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=complaints,
            env={**os.environ, **faked},
        )
    try:
        places = ("Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu", "UTC")
        for days, place in zip((0, -30, 400, -1), places, strict=True):
            set_clock(days, place)
            before = len(events())
            wait_for(lambda before=before: len(events()) > before + 6, 30)
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait(10)
    received = events()
    assert [event["number"] for event in received] == list(range(1, len(received) + 1))
    assert [event["phase"] for event in received] == ["start", "end"] * (len(received) // 2)
    assert all(
        first["event_id"] == last["event_id"]
        for first, last in zip(received[::2], received[1::2], strict=True)
    )
    assert all(0 <= event["duration_s"] < 10 for event in received)
    raised_s = [utc_seconds(event["raised_at"]) for event in received]
    assert abs(raised_s[0] - time.time()) < 120, "the zone changes nothing"
    jumps_days = [round((after - before) / DAY_S) for before, after in pairwise(raised_s)]
    assert [jump for jump in jumps_days if jump] == [-30, 430, -401]
    record_property("the clock jumped by days", "-30, +430, -401, through four time zones")
    record_property("events in order, with right durations", len(received))


@pytest.mark.fault(Fault.GROWTH)
@pytest.mark.parametrize(
    "frames",
    [
        4_000,
        pytest.param(100_000, marks=SLOW),
    ],
)
def test_memory_stays_flat(
    tiny_file: Path,
    calibration_file: Path,
    tmp_path: Path,
    frames: int,
    record_property: Callable[[str, object], None],
) -> None:
    finished = subprocess.run(
        [
            *(sys.executable, str(HERE / "flat_memory.py"), str(tmp_path), str(tiny_file)),
            *(str(calibration_file), str(frames)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    used = json.loads(finished.stdout)
    settled, ended = used["settled_bytes"], used["ended_bytes"]
    record_property("resident after 1,000 frames", f"{settled / 1e6:.1f} MB")
    record_property(f"after {frames:,}", f"{ended / 1e6:.1f} MB ({ended / settled - 1:+.1%})")
    assert used["frames"] == frames
    assert ended <= GROWTH * settled

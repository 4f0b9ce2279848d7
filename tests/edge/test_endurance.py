"""A watch survives kills at any moment, and does not grow."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SEMEDGE = [sys.executable, "-c", "from semedge.cli import main; main()"]
GROWTH = 1.05
RESTART_S = 2.0


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_at_random_moments_lose_nothing_that_was_printed(
    tiny_file: Path, calibration_file: Path, images: Path, tmp_path: Path, kills: int
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
    fastest_s = min(restarts_s)
    print(f"{kills} kills, {len(printed)} events printed, fastest restart {fastest_s:.2f} s")
    assert fastest_s < RESTART_S


@pytest.mark.parametrize(
    "frames",
    [
        4_000,
        pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_memory_stays_flat(
    tiny_file: Path, calibration_file: Path, tmp_path: Path, frames: int
) -> None:
    ended = subprocess.run(
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
    assert ended.returncode == 0, ended.stderr
    used = json.loads(ended.stdout)
    print(used)
    assert used["frames"] == frames
    assert used["ended_bytes"] <= GROWTH * used["settled_bytes"]

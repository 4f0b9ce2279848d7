"""Everything at once: a dying camera of four, failing receivers, viewers, a disk that fills."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import psutil
import pytest
from camera_servers import Server
from faults import Fault
from processes import free_port, wait_for

CROWD = Path(__file__).parents[2] / "system" / "crowd.py"
VIEWERS = 10
GROWTH = 1.1
STATION = """\
[web]
port = {page}
[retention]
least_free_bytes = 3000000
[cameras.one]
source = "sim:1?size=256x192&rate=4"
[cameras.two]
source = "sim:2?size=256x192&rate=4"
[cameras.three]
source = "sim:3?size=256x192&rate=4"
[cameras.dying]
source = "{dying}"
timeout_s = 2
[sinks.hook]
kind = "webhook"
url = "http://127.0.0.1:{hook}/"
timeout_s = 2
[sinks.lamp]
kind = "command"
argv = ["python3", "-c", "import random, sys; sys.exit(random.random() < 0.3)"]
"""


class FailingReceiver(BaseHTTPRequestHandler):
    """Refuses requests at random, until it is told not to, and keeps the keys of events."""

    keys: ClassVar[list[str]]
    fails = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        refused = self.fails and random.random() < 0.3
        if not refused:
            self.keys.append(body["key"])
        self.send_response(503 if refused else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 24 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, timeout=10, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here: mount needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=10)


@contextlib.contextmanager
def receiver() -> Iterator[tuple[type[FailingReceiver], int]]:
    class Receiver(FailingReceiver):
        keys: ClassVar[list[str]] = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Receiver, server.server_address[1]
    finally:
        server.shutdown()


@pytest.mark.alone
@pytest.mark.parametrize(
    "minutes",
    [
        pytest.param(1, marks=pytest.mark.fault(Fault.SOAK)),
        pytest.param(60, marks=(pytest.mark.slow, pytest.mark.timeout(4500))),
    ],
)
def test_nothing_grows_and_nothing_is_lost(
    tiny_file: Path,
    calibration_file: Path,
    disk: Path,
    tmp_path: Path,
    serve: Callable[..., Server],
    minutes: int,
    record_property: Callable[[str, object], None],
) -> None:
    camera, page = serve("mjpeg"), free_port()
    file = tmp_path / "semedge.toml"
    journal = disk / "journal.sqlite"
    with receiver() as (hook, hook_port), (tmp_path / "log").open("wb") as log:
        file.write_text(STATION.format(page=page, hook=hook_port, dying=camera.address))
        program = "from semedge.cli import main; main()"
        command = [sys.executable, "-c", program, "watch", "--station", str(file)]
        command += ["--detector", str(tiny_file), "--calibration", str(calibration_file)]
        command += ["--journal", str(journal), "--pictures", str(disk / "pictures")]
        watch = subprocess.Popen(
            [*command, "--workers", "1"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        address = f"http://127.0.0.1:{page}"
        crowd = subprocess.Popen(["true"])
        try:
            wait_for(lambda: _inspected(address) > 10, 60)
            crowd = subprocess.Popen(
                [sys.executable, str(CROWD), address, str(VIEWERS)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            sizes = _soak(psutil.Process(watch.pid), camera, disk, minutes * 60.0)
            assert watch.poll() is None, (tmp_path / "log").read_text()[-3000:]
            hook.fails = False
            wait_for(lambda: _pending(address, "hook") == 0, 120)
            frames = _inspected(address)
        finally:
            crowd.kill()
            crowd.wait(10)
            watch.send_signal(signal.SIGTERM)
            status = watch.wait(20)
    assert status == 0, (tmp_path / "log").read_text()[-3000:]
    assert "Traceback" not in (tmp_path / "log").read_text()
    stored = _keys(journal)
    assert set(stored) <= set(hook.keys), "every event was delivered"
    early, late = sizes
    for name in early:
        record_property(f"soak, {name}", f"{early[name]:,.0f} to {late[name]:,.0f}")
    record_property(f"soak of {minutes} min", f"{frames:,.0f} frames, {len(stored):,} events")
    assert late["resident MB"] < early["resident MB"] * GROWTH
    assert late["threads"] <= early["threads"] + 5
    assert late["descriptors"] <= early["descriptors"] + 20


def _soak(
    process: psutil.Process, camera: Server, disk: Path, duration_s: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Kill and restart the camera, and fill the disk; sizes after a third, and at last."""
    began_s = time.monotonic()
    early: dict[str, float] = {}
    filler = disk / "filler"
    while (now_s := time.monotonic() - began_s) < duration_s:
        camera.kill()
        with contextlib.suppress(OSError):
            filler.write_bytes(b"0" * 24_000_000)
        time.sleep(4)
        camera.start()
        filler.unlink(missing_ok=True)
        time.sleep(6)
        if not early and now_s > duration_s / 3:
            early = _sizes(process)
    return early, _sizes(process)


def _sizes(process: psutil.Process) -> dict[str, float]:
    return {
        "resident MB": process.memory_info().rss / 1e6,
        "threads": float(process.num_threads()),
        "descriptors": float(process.num_fds()),
    }


def _state(address: str) -> dict:
    try:
        found: dict = httpx.get(f"{address}/api/state", timeout=10, trust_env=False).json()
    except httpx.HTTPError:
        return {"cameras": {}, "sinks": {}}
    return found


def _inspected(address: str) -> int:
    return sum(camera["frames_inspected"] for camera in _state(address)["cameras"].values())


def _pending(address: str, sink: str) -> int:
    found = _state(address)["sinks"].get(sink, {"pending": 1})
    return int(found["pending"])


def _keys(journal: Path) -> list[str]:
    connection = sqlite3.connect(journal)
    try:
        rows = connection.execute(
            "SELECT document FROM events JOIN deliveries USING (number) WHERE sink = 'hook'"
            " AND delivered_at IS NOT NULL"
        ).fetchall()
        (undelivered,) = connection.execute(
            "SELECT count(*) FROM events JOIN deliveries USING (number) WHERE sink = 'hook'"
            " AND delivered_at IS NULL AND json_extract(document, '$.phase') <> 'end'"
        ).fetchone()
        assert undelivered == 0
        return [json.loads(document)["key"] for (document,) in rows]
    finally:
        connection.close()

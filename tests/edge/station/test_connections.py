"""A station's process as systemd and a crowd of viewers see it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from commandcall import Call
from faults import Fault
from processes import free_port, wait_for
from recipes import make_recipe
from systemd_socket import received

pytestmark = pytest.mark.alone

CROWD = Path(__file__).parents[2] / "system" / "crowd.py"


@dataclass
class Station:
    """A watch in a process of its own, with a page."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.address}/{path}", timeout=10, trust_env=False)

    def ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return bool(self.get("readyz").status_code == 200)
        return False

    def inspected(self) -> float:
        found = re.search(r'outcome="inspected"} ([0-9.]+)', self.get("metrics").text)
        assert found is not None
        return float(found[1])


@contextlib.contextmanager
def station(
    folder: Path, tiny_file: Path, calibration_file: Path, source: str, **environment: str
) -> Iterator[Station]:
    port = free_port()
    file = folder / "semedge.toml"
    file.write_text(
        f"""
        [station]
        name = "line 1"
        recipes = "recipes"
        [camera]
        source = "{source}"
        [detector]
        file = "{tiny_file}"
        workers = 1
        [calibration]
        file = "{calibration_file}"
        [journal]
        file = "journal.sqlite"
        pictures = "pictures"
        [web]
        port = {port}
        token = {{ env = "PAGE_TOKEN" }}
        """
    )
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "semedge", "--log", "json", "watch", "--station", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PAGE_TOKEN": "s3cret", **environment},
        )
    running = Station(process, f"http://127.0.0.1:{port}", log)
    try:
        wait_for(lambda: process.poll() is not None or running.ready(), 40)
        assert process.poll() is None, log.read_text()
        yield running
    finally:
        process.kill()
        process.wait(10)


@contextlib.contextmanager
def crowd(address: str, count: int, log: Path) -> Iterator[subprocess.Popen[str]]:
    """Viewers in a process of their own, once all are served."""
    with log.open("w") as complaints:
        viewers = subprocess.Popen(
            # Viewers look from other machines: here they are given what the station leaves.
            ["nice", "-n", "19", sys.executable, str(CROWD), address, str(count)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
    try:
        assert viewers.stdout is not None
        assert viewers.stdout.readline() == "ready\n", log.read_text()
        yield viewers
    finally:
        viewers.kill()
        viewers.wait(10)


def test_a_life_under_systemd(tmp_path: Path, tiny_file: Path, calibration_file: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        with (
            station(
                *(tmp_path, tiny_file, calibration_file, "sim:1?rate=10&size=64x64"),
                NOTIFY_SOCKET=str(tmp_path / "notify"),
                WATCHDOG_USEC="3000000",
            ) as running,
            crowd(running.address, 10, tmp_path / "crowd"),
        ):
            wait_for(lambda: running.inspected() > 3)
            messages: list[str] = []
            wait_for(lambda: messages.extend(received(listener)) or "WATCHDOG=1" in messages)
            assert messages[0].startswith("READY=1\n")
            running.process.send_signal(signal.SIGHUP)
            messages.clear()
            wait_for(lambda: messages.extend(received(listener)) or "READY=1" in "".join(messages))
            assert any(message.startswith("RELOADING=1\n") for message in messages)
            begun_s = time.monotonic()
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(10) == 0
            assert time.monotonic() - begun_s < 3, "with ten pages open"
            assert "STOPPING=1" in received(listener)
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    assert {"page", "watching", "reloaded"} <= {line["event"] for line in lines}
    assert "s3cret" not in running.log.read_text()


@pytest.mark.fault(Fault.RECIPE)
def test_a_command_switches_the_recipe_without_losing_a_frame(
    tmp_path: Path, tiny_file: Path, calibration_file: Path, call: Call, monkeypatch: Any
) -> None:
    (tmp_path / "recipes").mkdir()
    recipe = make_recipe(tmp_path / "recipes" / "film.recipe", decision={"alarm": 50.0})
    (tmp_path / "recipes" / "bad.recipe").write_bytes(recipe.read_bytes()[:-900])
    source = "sim:2?rate=40&size=256x192"
    monkeypatch.setenv("PAGE_TOKEN", "s3cret")
    use = ("recipe", "use", "--station", tmp_path / "semedge.toml", "--who", "R. Weiss")
    with station(tmp_path, tiny_file, calibration_file, source) as running:

        def active_setup() -> Any:
            return running.get("api/state").json()["cameras"]["camera"]

        wait_for(lambda: running.inspected() > 5)
        done = call(*use, "film")
        assert done.status == 0, done.err
        assert "recipe film" in done.err
        wait_for(lambda: active_setup()["recipe"] == "film")
        assert active_setup()["alarm_level"] == 50.0
        for name, values in (
            ("bad", r"bad\.recipe"),
            ("../film", r"'\.\./film'.* bad, film"),
        ):
            refused = call(*use, name)
            assert refused.status == 1
            assert re.search(values, refused.err), refused.err
        monkeypatch.setenv("PAGE_TOKEN", "wrong")
        assert "token" in call(*use, "film").err
        before = running.inspected()
        wait_for(lambda: running.inspected() > before + 5)
        assert active_setup()["recipe"] == "film"
        running.process.terminate()
        assert running.process.wait(10) == 0
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as journal:
        inspected = [row[0] for row in journal.execute("SELECT sequence FROM scores ORDER BY 1")]
        who = journal.execute("SELECT who FROM audit WHERE action = 'recipe'").fetchall()
        runs = journal.execute("SELECT count(*) FROM runs").fetchone()
    assert inspected == list(range(len(inspected)))
    assert who == [("page: R. Weiss",)]
    assert runs == (2,)
    monkeypatch.setenv("PAGE_TOKEN", "s3cret")
    assert "http://127.0.0.1:" in call(*use, "film").err


def test_the_token_is_in_no_list_of_processes(
    tmp_path: Path, tiny_file: Path, calibration_file: Path
) -> None:
    with station(tmp_path, tiny_file, calibration_file, "sim:1?rate=5&size=64x64") as running:
        line = Path(f"/proc/{running.process.pid}/cmdline").read_bytes()
        assert b"s3cret" not in line
        for path in ("", "page.js", "api/state", "metrics", "readyz"):
            assert "s3cret" not in running.get(path).text


def rate_hz(running: Station, over_s: float) -> float:
    """Frames inspected a second."""
    begun_s, before = time.monotonic(), running.inspected()
    time.sleep(over_s)
    return (running.inspected() - before) / (time.monotonic() - begun_s)


@pytest.mark.fault(Fault.PAGE)
@pytest.mark.parametrize(
    ("viewers", "rounds", "least"),
    [(50, 2, 0.6), pytest.param(200, 12, 0.95, marks=pytest.mark.slow)],
)
def test_a_crowd_does_not_slow_the_inspection(
    tmp_path: Path,
    tiny_file: Path,
    calibration_file: Path,
    viewers: int,
    rounds: int,
    least: float,
    record_property: Callable[[str, object], None],
) -> None:
    alone_hz, watched_hz = 0.0, 0.0
    with station(tmp_path, tiny_file, calibration_file, "sim:1?size=512x384") as running:
        for number in range(rounds):
            alone_hz += rate_hz(running, 2)
            with crowd(running.address, viewers, tmp_path / f"crowd{number}"):
                time.sleep(0.5)
                watched_hz += rate_hz(running, 2)
    record_property(
        f"inspection rate with {viewers} viewers, of that with none", f"{watched_hz / alone_hz:.3f}"
    )
    assert watched_hz > least * alone_hz

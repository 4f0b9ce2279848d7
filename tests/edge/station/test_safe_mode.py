"""A station whose cameras cannot be loaded, or cannot be judged, still has its page."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from commandcall import Call
from faults import Fault
from processes import free_port, wait_for

from semedge.journal.journal import Journal
from semedge.station.connections import Connections


@contextmanager
def watch_with_page(
    folder: Path, detector: Path, calibration: Path, *options: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    station = folder / "semedge.toml"
    station.write_text(f"[web]\nport = {port}\n")
    command = [sys.executable, "-c", "from semedge.cli import main; main()", "watch"]
    command += ["--station", str(station), "--detector", str(detector)]
    command += ["--calibration", str(calibration), "--workers", "1"]
    command += ["--journal", str(folder / "journal.sqlite"), "--pictures", str(folder / "p")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)


def get(address: str) -> Any:
    try:
        return httpx.get(address, timeout=10, trust_env=False)
    except httpx.HTTPError:
        return None


def reason(address: str) -> str:
    answer = get(f"{address}/api/state")
    return "" if answer is None else str(answer.json()["cameras"]["camera"]["reason"])


@pytest.mark.fault(Fault.BRICK)
def test_the_page_says_why_nothing_is_inspected_until_the_cause_is_gone(
    tmp_path: Path, tiny_file: Path, calibration_file: Path
) -> None:
    detector = tmp_path / "line.semedge"
    detector.write_bytes(b"damaged")
    with watch_with_page(
        tmp_path, detector, calibration_file, "--camera", "sim:1?size=256x192&rate=20"
    ) as (process, page):
        wait_for(lambda: "line.semedge" in reason(page), 60)
        assert reason(page).startswith("safe mode: ")
        assert get(f"{page}/readyz").status_code == 503
        assert get(f"{page}/api/state").json()["verdict"] == "not inspecting"
        detector.write_bytes(tiny_file.read_bytes())
        process.send_signal(signal.SIGHUP)

        def ready() -> bool:
            answer = get(f"{page}/readyz")
            return answer is not None and answer.status_code == 200

        wait_for(ready, 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, (tmp_path / "log").read_text()


@pytest.mark.fault(Fault.BRICK)
def test_safe_mode_ends_on_a_signal(tmp_path: Path, calibration_file: Path) -> None:
    absent = tmp_path / "absent.semedge"
    with watch_with_page(tmp_path, absent, calibration_file, "--camera", "sim:1") as (
        process,
        page,
    ):
        wait_for(lambda: "absent.semedge" in reason(page), 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, (tmp_path / "log").read_text()


@pytest.mark.fault(Fault.BRICK)
@pytest.mark.parametrize("exists", [True, False])
def test_a_signal_that_comes_while_the_page_opens_ends_the_station_cleanly(
    tmp_path: Path,
    tiny_file: Path,
    calibration_file: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    exists: bool,
) -> None:
    opens = Connections.open

    def interrupted(connections: Connections, *arguments: Any) -> None:
        opens(connections, *arguments)
        signal.raise_signal(signal.SIGTERM)

    def unhandled(number: int, _: object) -> None:
        raise AssertionError(f"Signal {number} has its default effect.")

    monkeypatch.setattr(Connections, "open", interrupted)
    detector = tiny_file if exists else tmp_path / "absent.semedge"
    station = tmp_path / "semedge.toml"
    station.write_text(f"[web]\nport = {free_port()}\n")
    journal_path = tmp_path / "journal.sqlite"
    before = signal.signal(signal.SIGTERM, unhandled)
    try:
        result = call(
            *("watch", "--camera", "sim:1?size=256x192&rate=20", "--workers", 1),
            *("--detector", detector, "--calibration", calibration_file),
            *("--station", station, "--journal", journal_path),
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    assert result.status == 0, result.err
    with Journal(journal_path) as journal:
        assert journal.begin_watch() or not exists, "the watch ended by itself"
        assert journal.counts().pending == 0


@pytest.mark.fault(Fault.BRICK)
def test_the_page_stays_where_the_only_camera_cannot_be_judged(
    tmp_path: Path, tiny_file: Path, calibration_file: Path
) -> None:
    with watch_with_page(
        *(tmp_path, tiny_file, calibration_file, "--camera", "sim:1?size=256x192&rate=20"),
        *("--crop-bottom-px", "180"),
    ) as (process, page):
        wait_for(lambda: "256x12" in reason(page), 60)
        assert get(f"{page}/readyz").status_code == 503
        assert process.poll() is None

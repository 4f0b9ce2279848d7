"""`semedge watch` in its own process: signals, reloads and kills."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from faults import Fault

from semedge.journal.journal import Journal


@dataclass
class Process:
    """`semedge watch` in a process of its own, with its output in files."""

    popen: subprocess.Popen
    out: Path
    err: Path

    def wait_for(self, text: str, path: Path, timeout_s: float = 60) -> None:
        until_s = time.monotonic() + timeout_s
        while text not in path.read_text():
            assert self.popen.poll() is None, self.err.read_text()
            assert time.monotonic() < until_s, self.err.read_text()
            time.sleep(0.02)


@pytest.fixture
def start_watch(
    tiny_file: Path, calibration_file: Path, tmp_path: Path
) -> Iterator[Callable[..., Process]]:
    processes: list[subprocess.Popen] = []

    def start(camera: str, *more: str) -> Process:
        out, err = tmp_path / "out.txt", tmp_path / "err.txt"
        command = [sys.executable, "-c", "from semedge.cli import main; main()", "watch"]
        options = {
            "--camera": camera,
            "--detector": str(tiny_file),
            "--calibration": str(calibration_file),
            "--journal": str(tmp_path / "journal.sqlite"),
            "--pictures": str(tmp_path / "pictures"),
            "--workers": "1",
        }
        with out.open("w") as out_file, err.open("w") as err_file:
            popen = subprocess.Popen(
                [*command, *(part for pair in options.items() for part in pair), "--json", *more],
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
            )
        processes.append(popen)
        return Process(popen, out, err)

    yield start
    for popen in processes:
        popen.kill()
        popen.wait(10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_watch_with_its_summary(
    start_watch: Callable[..., Process], images: Path, tmp_path: Path, number: signal.Signals
) -> None:
    process = start_watch(str(images), "--loop")
    process.wait_for("event_id", process.out)
    process.popen.send_signal(number)
    assert process.popen.wait(15) == 0, process.err.read_text()
    assert " frames seen, " in process.err.read_text().splitlines()[-1]
    assert "Traceback" not in process.err.read_text()
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.counts().pending == 0
        assert journal.counts().events == len(process.out.read_text().splitlines())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_breaks_off_the_wait_for_a_frame(
    start_watch: Callable[..., Process], number: signal.Signals
) -> None:
    process = start_watch("sim:5?size=256x192&rate=0.01")
    process.wait_for("Watching ", process.err)
    time.sleep(1.0)
    process.popen.send_signal(number)
    assert process.popen.wait(3) == 0, process.err.read_text()
    assert " frames seen, " in process.err.read_text().splitlines()[-1]


def test_sighup_reads_the_station_file_again_and_a_bad_one_changes_nothing(
    start_watch: Callable[..., Process], images: Path, tmp_path: Path
) -> None:
    station = tmp_path / "semedge.toml"
    station.write_text("[sinks.hung]\nkind = 'command'\nargv = ['sleep', '60']\n")
    process = start_watch(str(images), "--loop", "--station", str(station))
    process.wait_for('"defect"', process.out)
    station.write_text(station.read_text() + "[decision]\nalarm = 1e6\n")
    process.popen.send_signal(signal.SIGHUP)
    process.wait_for("The station file was read again.", process.err)
    process.wait_for('"reload-changed"', process.out)
    station.write_text("[decision]\nalarm = 'high'\n")
    process.popen.send_signal(signal.SIGHUP)
    process.wait_for("Not reloaded: ", process.err)
    assert "decision.alarm = 'high'" in process.err.read_text()
    time.sleep(0.5)
    later = process.out.read_text().partition('"reload-changed"')[2]
    assert later.count('"phase": "start"') <= 1, "only the current frame was judged as before"
    assert process.popen.poll() is None
    started_s = time.monotonic()
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(10) == 0, process.err.read_text()
    took_s = time.monotonic() - started_s
    assert took_s < 3, "a hanging sink does not hold up the end"


def test_a_second_watch_on_the_journal_is_refused_until_the_first_has_died(
    start_watch: Callable[..., Process], tmp_path: Path
) -> None:
    first = start_watch("sim:5?size=256x192&rate=0.01")
    first.wait_for("Watching ", first.err)
    second = start_watch("sim:6?size=256x192&frames=1")
    assert second.popen.wait(60) == 1
    assert str(tmp_path / "journal.sqlite") in second.err.read_text()
    os.kill(first.popen.pid, signal.SIGKILL)
    first.popen.wait(10)
    third = start_watch("sim:6?size=256x192&frames=1")
    assert third.popen.wait(60) == 0, third.err.read_text()


def test_kill_9_leaves_a_readable_journal_and_whole_pictures(
    start_watch: Callable[..., Process], images: Path, tmp_path: Path
) -> None:
    process = start_watch(str(images), "--loop")
    process.wait_for("event_id", process.out)
    time.sleep(1.0)
    os.kill(process.popen.pid, signal.SIGKILL)
    process.popen.wait(10)
    printed = [json.loads(line) for line in process.out.read_text().splitlines()]
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    stored = [json.loads(event) for (event,) in connection.execute("SELECT document FROM events")]
    waiting = {
        event
        for (event,) in connection.execute(
            "SELECT event_id FROM deliveries JOIN events USING (number) WHERE delivered_at IS NULL"
        )
    }
    connection.close()
    assert {event["event_id"] for event in printed} <= {event["event_id"] for event in stored}
    for event in stored:
        assert event["kind"] == "defect"
        assert cv2.imread(event["frame_picture"]) is not None
        assert cv2.imread(event["overlay_picture"]) is not None
    again = start_watch("sim:6?size=256x192&frames=1")
    assert again.popen.wait(60) == 0, again.err.read_text()
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.counts().pending == 0
    delivered = {json.loads(line)["event_id"] for line in again.out.read_text().splitlines()}
    assert waiting <= delivered


NAMELESS = "mount --bind {} /etc/resolv.conf && exec {}"


@pytest.mark.fault(Fault.RECEIVER)
def test_a_name_server_that_does_not_answer_does_not_delay_the_end(
    tiny_file: Path,
    calibration_file: Path,
    images: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 192.0.2.1\noptions timeout:10 attempts:2\n")
    if subprocess.run(
        ["unshare", "-m", "mount", "--bind", str(resolver), "/etc/resolv.conf"],
        capture_output=True,
        timeout=10,
        check=False,
    ).returncode:
        pytest.skip("the name server cannot be replaced here: unshare and mount need root")
    station = tmp_path / "semedge.toml"
    station.write_text(
        '[sinks.hook]\nkind = "webhook"\nurl = "http://hook.example.test/x"\n'
        '[sinks.mail]\nkind = "email"\nhost = "mail.example.test"\nsender = "a@example.test"\n'
        'recipients = ["b@example.test"]\n'
        '[sinks.broker]\nkind = "mqtt"\nhost = "broker.example.test"\n'
    )
    program = "from semedge.cli import main; main()"
    command = [sys.executable, "-c", program, "watch", "--loop", "--json", "--workers", "1"]
    command += ["--camera", str(images), "--station", str(station)]
    command += ["--detector", str(tiny_file), "--calibration", str(calibration_file)]
    command += ["--journal", str(tmp_path / "j.sqlite"), "--pictures", str(tmp_path / "p")]
    script = NAMELESS.format(shlex.quote(str(resolver)), shlex.join(command))
    out, err = tmp_path / "out.txt", tmp_path / "err.txt"
    with out.open("w") as out_file, err.open("w") as err_file:
        popen = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=err_file,
        )
    try:
        Process(popen, out, err).wait_for("event_id", out)
        time.sleep(1.0)
        began_s = time.monotonic()
        popen.send_signal(signal.SIGTERM)
        assert popen.wait(30) == 0, err.read_text()
        took_s = time.monotonic() - began_s
    finally:
        popen.kill()
        popen.wait(10)
    record_property("end while a look-up of a name hangs", f"{took_s:.1f} s")
    assert took_s < 3

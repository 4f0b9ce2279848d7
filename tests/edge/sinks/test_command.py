"""Events handed to a program."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from processes import wait_for
from sinks_support import EVENT

from semedge.core.event import Event
from semedge.sinks.base import DeliveryError, Sink
from semedge.sinks.command import CommandSection


def running(script: str, *arguments: object, timeout_s: float = 10, **settings: object) -> Sink:
    argv = (sys.executable, "-c", script, *map(str, arguments))
    section = CommandSection.model_validate(
        {"kind": "command", "argv": argv, "timeout_s": timeout_s, **settings}
    )
    return section.open("lamp")


COPY = "import shutil, sys; shutil.copyfileobj(sys.stdin, open(sys.argv[1], 'w'))"


def test_the_program_is_given_the_event(tmp_path: Path) -> None:
    given = tmp_path / "a name; with $HOME & `quotes`"
    running(COPY, given).deliver(EVENT)
    assert Event.from_document(json.loads(given.read_text())) == EVENT


def test_the_program_is_given_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "hidden")
    monkeypatch.setenv("LAMP", "red")
    given = tmp_path / "environment"
    script = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    running(script, given, pass_environment=("LAMP",)).deliver(EVENT)
    environment = json.loads(given.read_text())
    assert "MQTT_PASSWORD" not in environment
    assert environment["LAMP"] == "red"


def test_a_program_that_fails_gives_the_reason() -> None:
    script = "import sys; print('no lamp', file=sys.stderr); sys.exit(3)"
    with pytest.raises(DeliveryError, match=r"\b3: no lamp"):
        running(script).deliver(EVENT)


def test_a_program_that_reads_nothing_is_fine() -> None:
    running("pass").deliver(EVENT)


HANGS = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(60)
"""


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    started_s = time.monotonic()
    with pytest.raises(DeliveryError, match=r" 1 s\b"):
        running(HANGS, pid_file, timeout_s=1).deliver(EVENT)
    assert time.monotonic() - started_s < 3
    child = Path(f"/proc/{pid_file.read_text()}/stat")
    wait_for(lambda: not child.exists() or child.read_text().split()[2] == "Z")


def test_a_program_that_is_not_there() -> None:
    section = CommandSection(kind="command", argv=("/nowhere/lamp",))
    with pytest.raises(DeliveryError, match=r"/nowhere/lamp .*\(No such file"):
        section.open("lamp").deliver(EVENT)

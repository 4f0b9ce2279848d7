"""Calls of the command line in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEMEDGE = (sys.executable, "-m", "semedge")
EDGE_ONLY = (sys.executable, str(Path(__file__).with_name("edge_only.py")))
PROBE = (sys.executable, str(Path(__file__).with_name("probe.py")))


@dataclass(frozen=True)
class Result:
    """How a process ended, and its output."""

    status: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON documents on stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def starts(self) -> list[dict[str, Any]]:
        """The events that start a defect."""
        return [event for event in self.events if event["phase"] == "start"]

    @property
    def error(self) -> str:
        """The one sentence that says what was wrong."""
        (sentence,) = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert "Traceback" not in self.err
        assert sentence.endswith(".")
        return sentence


RunBlock = Callable[[Path, str], Result]
"""Runs a block of commands of a page in a folder, and fails where one of them does."""


@dataclass(frozen=True)
class Used:
    """What a process had used when it ended: its largest memory, and packages by name."""

    peak_bytes: int
    packages: frozenset[str]


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of a station, and with `more`."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SEMEDGE_")
    }
    return {**environment, **more}


def call(
    folder: Path,
    *arguments: object,
    program: tuple[str, ...] = SEMEDGE,
    timeout_s: float = 280,
    **variables: str,
) -> Result:
    """Run a command in `folder` and wait for its end."""
    ended = subprocess.run(
        [*program, *map(str, arguments)],
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Result(ended.returncode, ended.stdout, ended.stderr)


def every_frame_by_itself(folder: Path) -> tuple[str, Path]:
    """The option of a station file by which each frame above the threshold is an alert."""
    station = folder / "every-frame.toml"
    station.write_text("[decision]\nend_after_frames = 0\n")
    return "--station", station


def succeed(folder: Path, *arguments: object, **options: Any) -> Result:
    """`call`, for a command that has to end well."""
    result = call(folder, *arguments, **options)
    assert result.status == 0, result.err
    return result


def succeed_probed(folder: Path, *arguments: object, **options: Any) -> Used:
    """`succeed`, and what the process used."""
    report = folder / "used.json"
    succeed(folder, report, *arguments, program=PROBE, **options)
    used = json.loads(report.read_text())
    return Used(used["peak_bytes"], frozenset(used["packages"]))

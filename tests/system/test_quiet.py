"""stderr has semedge's messages, and real errors of the runtimes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commandline import succeed

from semedge.core.stderr import without_information


def test_a_command_writes_only_its_own_messages(tmp_path: Path) -> None:
    result = succeed(
        tmp_path,
        *("calibrate", "--images", "sim:1?size=64x64&frames=29", "--false-alarm-rate", 0.1),
        *("--out", "c.json"),
    )
    first, *_, last = result.err.splitlines()
    assert first.startswith("Using the demo detector")
    assert last.endswith("Wrote c.json.")
    assert "INFO:" not in result.err


def test_only_information_is_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    with without_information():
        os.write(2, b"ERROR: a graph is damaged\nINFO: a delegate was made\nand no more")
    os.write(2, b"; afterwards\n")
    assert capfd.readouterr().err == "ERROR: a graph is damaged\nand no more; afterwards\n"


def write_and_fail() -> None:
    with without_information():
        os.write(2, b"ERROR: why\n")
        raise ValueError("stop")


def test_what_was_written_before_an_error_appears(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="stop"):
        write_and_fail()
    assert capfd.readouterr().err == "ERROR: why\n"

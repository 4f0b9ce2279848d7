"""What several of the system's tests look at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commandline import Result, RunBlock, environment, succeed


@pytest.fixture(scope="session")
def demo_calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibration of the demo detector on small frames, at stride 32."""
    folder = tmp_path_factory.mktemp("calibration")
    succeed(
        folder,
        *("calibrate", "--images", "sim:3001?size=128x128&frames=29", "--stride", 32),
        *("--false-alarm-rate", 0.1, "--out", "calibration.json"),
    )
    return folder / "calibration.json"


@pytest.fixture(scope="session")
def run_block(tmp_path_factory: pytest.TempPathFactory) -> RunBlock:
    """Runs blocks of commands by bash, with `semedge` and `python3` of these tests."""
    programs = tmp_path_factory.mktemp("programs")
    for name, call in (("semedge", "-m semedge"), ("python3", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {call} "$@"\n')
        program.chmod(0o755)
    variables = environment(PATH=f"{programs}:{environment()['PATH']}")

    def run(folder: Path, block: str) -> Result:
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert ended.returncode == 0, f"{block}\n{ended.stderr}"
        return Result(ended.returncode, ended.stdout, ended.stderr)

    return run

"""What several of the system's tests look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commandline import EDGE_ONLY, Result, succeed


@dataclass(frozen=True)
class DemoRun:
    """A demo as it comes: the document that it printed, and the folder that it was called in."""

    result: Result
    folder: Path

    @property
    def document(self) -> dict[str, Any]:
        (document,) = self.result.events
        return document

    @property
    def pictures(self) -> Path:
        return self.folder / "semedge-demo"


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """`semedge demo --json` in an empty folder, where the trainer's packages are absent."""
    folder = tmp_path_factory.mktemp("demo")
    return DemoRun(succeed(folder, "demo", "--json", program=EDGE_ONLY), folder)


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

"""What several of the system's tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import succeed


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

"""Fixtures of the tests of a running station."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from watch_bench import WatchBench

from semedge.inference.detector import Detector


@pytest.fixture(scope="module")
def detector(tiny_file: Path) -> Iterator[Detector]:
    with Detector.load(tiny_file, workers=1) as loaded:
        yield loaded


@pytest.fixture
def bench(detector: Detector, calibration_file: Path, tmp_path: Path) -> WatchBench:
    return WatchBench(detector, calibration_file, tmp_path)

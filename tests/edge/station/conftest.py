"""Fixtures of the tests of a running station."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_station import Station
from watch_bench import WatchBench

from semedge.decision.defect import DecisionSettings
from semedge.inference.detector import Detector
from semedge.station.camera_plan import CameraPlan
from semedge.station.camera_setup import SourceChoice
from semedge.station.config.sections import DetectorSection


@pytest.fixture(scope="module")
def detector(tiny_file: Path) -> Iterator[Detector]:
    with Detector.load(tiny_file, workers=1) as loaded:
        yield loaded


@pytest.fixture
def bench(detector: Detector, calibration_file: Path, tmp_path: Path) -> WatchBench:
    return WatchBench(detector, calibration_file, tmp_path)


@pytest.fixture
def station(tiny_file: Path, calibration_file: Path, tmp_path: Path) -> Station:
    planned = CameraPlan(
        "left",
        SourceChoice("script"),
        DetectorSection(file=tiny_file, workers=1),
        calibration_file,
        DecisionSettings(),
    )
    return Station(tmp_path, planned)

"""docs/tutorial/own-material.md: its commands as they stand, on the simulated line."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import pytest
from commandline import Result, RunBlock
from pages import DOCS, blocks

PAGE = "tutorial/own-material.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tutorial")


@pytest.fixture(scope="module")
def result(folder: Path, run_block: RunBlock) -> Result:
    """All the blocks, one after the other, in one shell: they share variables."""
    return run_block(folder, "".join(blocks(PAGE, "sh")))


def test_the_material_is_learned_with_the_guarantee_that_the_page_shows(result: Result) -> None:
    assert "Fitted to 60 frames, calibrated on 300." in result.err
    shown = (DOCS / PAGE).read_text().splitlines()
    guarantee = next(line for line in shown if line.startswith("With 95 % confidence"))
    assert guarantee.endswith("proved from 300 independent frames.")
    assert guarantee in result.err


def test_the_line_raises_alerts_and_normal_frames_hardly_any(folder: Path, result: Result) -> None:
    del result
    with (folder / "events.csv").open(encoding="utf-8-sig") as file:
        events = list(csv.DictReader(file))
    starts = [each for each in events if each["phase"] == "start"]
    assert 3 <= len(starts) <= 25
    assert all(Path(each["overlay_picture"]).is_file() for each in starts)


def test_the_pictures_that_the_page_shows_are_written(folder: Path, result: Result) -> None:
    del result
    sheet = cv2.imread(str(folder / "fibre.sheet.png"))
    assert sheet is not None
    assert len(list((folder / "fibre.frames").glob("*.png"))) == 360


def test_the_station_accepts_a_test_event_and_inspects(result: Result) -> None:
    assert "console accepted it" in result.out + result.err
    assert "20 frames seen, 20 inspected" in result.out + result.err

"""`semedge demo`: the whole path on a simulated line, from normal frames to a second recipe."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import pytest
from commandline import EDGE_ONLY, Result, call, succeed

from semedge.cameras.simulation import SimulatedLine
from semedge.station.demo import DEFECT_RATE, LINE_SEED, SHAPE

LARGEST_BUNDLE_BYTES = 4_000_000


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


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """`semedge demo --json` in an empty folder, where the trainer's packages are absent."""
    folder = tmp_path_factory.mktemp("demo")
    return DemoRun(succeed(folder, "demo", "--json", program=EDGE_ONLY), folder)


def test_the_demo_shows_a_working_inspection(demo_run: DemoRun) -> None:
    document = demo_run.document
    assert document["frames"] == 120
    assert "at most 1 % of normal frames raise an alarm" in document["guarantee"]
    assert document["recall"] >= 0.95
    assert document["precision"] >= 0.95


def test_its_counts_add_up(demo_run: DemoRun) -> None:
    document = demo_run.document
    raised, missed, invented = (document[name] for name in ("raised", "missed", "invented"))
    line = SimulatedLine(LINE_SEED, shape=SHAPE, defect_rate=DEFECT_RATE)
    truths = [line.frame(number).mask.any() for number in range(document["frames"])]
    assert raised + missed == sum(truths)
    assert document["recall"] == raised / (raised + missed)
    assert document["precision"] == raised / (raised + invented)
    journal = sqlite3.connect(demo_run.pictures / "journal.sqlite")
    documents = journal.execute("SELECT document FROM events WHERE phase = 'start'").fetchall()
    alerts = [json.loads(document)["sequence"] for (document,) in documents]
    journal.close()
    assert len(alerts) == raised + invented
    assert sum(truths[sequence] for sequence in alerts) == raised


def test_its_pictures_are_there(demo_run: DemoRun) -> None:
    document = demo_run.document
    height, width = SHAPE
    shapes = {"frame": (height, width, 3), "overlay": (height, 2 * width, 3)}
    for name, shape in shapes.items():
        pictures = list(demo_run.pictures.glob(f"*/*-{name}.png"))
        assert len(pictures) == document["raised"] + document["invented"]
        assert {cv2.imread(str(picture)).shape for picture in pictures} == {shape}
    assert cv2.imread(str(demo_run.pictures / "overview.png")) is not None
    assert [entry.name for entry in demo_run.folder.iterdir()] == ["semedge-demo"]


def test_it_learns_again_from_a_false_alarm(demo_run: DemoRun) -> None:
    again = demo_run.document["again"]
    assert again["score_before"] > demo_run.document["threshold"] > again["score_after"]
    assert not again["alarms_still"]
    assert again["real"] > 10
    assert again["real_still_found"] >= 0.8 * again["real"]


def test_its_recipe_can_watch(demo_run: DemoRun) -> None:
    recipe = demo_run.pictures / "demo.recipe"
    result = succeed(demo_run.folder, "recipe", "show", recipe)
    assert "demo" in result.out


def test_too_few_normal_frames_are_refused(tmp_path: Path) -> None:
    result = call(tmp_path, "demo", "--normal-frames", 25, "--frames", 1)
    assert result.status == 3
    assert "299" in result.error
    assert not (tmp_path / "semedge-demo" / "demo.recipe").exists()


def test_the_detector_that_ships_is_small() -> None:
    bundle = files("semedge").joinpath("data/demo.semedge").read_bytes()
    assert len(bundle) < LARGEST_BUNDLE_BYTES

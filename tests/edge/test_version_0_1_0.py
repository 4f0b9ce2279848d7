"""Files that version 0.1.0 wrote are read, and mean the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import pytest
from commandcall import Call

from semedge.core.frame import Frame
from semedge.decision.calibration_file import load_calibration
from semedge.inference.detector import Detector
from semedge.journal.journal import Journal
from semedge.station.config.station import load_station
from semedge.station.recipe import read_recipe

FILES = Path(__file__).parents[1] / "data" / "version-0.1.0"


@pytest.fixture
def station_dir(tmp_path: Path) -> Path:
    """The files in a folder that may be written to."""
    return Path(shutil.copytree(FILES, tmp_path / "line 1"))


@pytest.mark.parametrize("bundle", ["patch.semedge", "frame.semedge"])
def test_bundle_gives_the_same_scores(bundle: str) -> None:
    expected = json.loads((FILES / "scores.json").read_text())[bundle]
    image = cv2.imread(str(FILES / expected["picture"]), cv2.IMREAD_UNCHANGED)
    with Detector.load(FILES / bundle) as detector:
        score_map = detector.score(Frame(image, 0, 0.0, expected["picture"]))
    assert score_map.frame_score == pytest.approx(expected["frame_score"], rel=1e-4)
    assert list(score_map.peak_px) == expected["peak_px"]


def test_calibration_belongs_to_its_bundle() -> None:
    with Detector.load(FILES / "patch.semedge") as detector:
        calibration = load_calibration(FILES / "calibration.json", detector)
    assert calibration.threshold == pytest.approx(8.156974792480469)
    assert (calibration.groups, calibration.rank, calibration.confidence) == (29, 1, 0.95)
    assert calibration.appearance is not None
    assert calibration.appearance.lowest_sharpness == pytest.approx(0.11960870561244445)


def test_recipe_holds_decision_and_camera_settings() -> None:
    recipe = read_recipe(FILES / "fibre.recipe")
    assert (recipe.manifest.name, recipe.manifest.version) == ("fibre", 1)
    assert recipe.manifest.camera.crop_bottom_px == 4
    assert recipe.manifest.decision.alarm == 30.0
    assert (recipe.manifest.decision.frames_above, recipe.manifest.decision.of_frames) == (2, 3)


def test_station_file_sets_what_it_set() -> None:
    station = load_station(FILES / "semedge.toml")
    assert station.station.name == "line 1"
    assert station.camera.timeout_s == 5.0
    assert station.camera.features == (("BlackLevel", "2"),)
    assert station.detector.stride_px == 32
    assert (station.decision.warn, station.decision.update_every_s) == (6.0, 2.0)
    assert (station.health.frames_to_start, station.health.frozen_after_s) == (4, 8.0)
    assert station.challenge.least_found == 0.9
    assert (station.drift.window_frames, station.drift.significance) == (200, 0.001)
    assert (station.retention.pictures_days, station.retention.scores_every_s) == (30.0, 0.5)
    assert station.watch.max_frames == 60
    assert station.web is not None
    assert station.web.port == 8081
    assert set(station.sinks) == {"log", "office"}


def test_journal_has_the_same_history(station_dir: Path, call: Call) -> None:
    shown = call("history", "--journal", station_dir / "journal.sqlite", "--json")
    assert shown.status == 0, shown.err
    unknown = dict.fromkeys(("raw_score", "mark", "marked_at", "marked_by", "mark_note"))
    assert json.loads(shown.out)["events"] == [
        {**event, **unknown} for event in json.loads((FILES / "history.json").read_text())["events"]
    ]


def test_raw_scores_are_unknown_until_the_journal_is_used_again(
    station_dir: Path, call: Call
) -> None:
    path = station_dir / "journal.sqlite"
    for _ in range(2):
        shown = call("history", "scores", "--journal", path, "--json")
        assert shown.status == 0, shown.err
        scores = json.loads(shown.out)["scores"]
        assert len(scores) > 1
        assert {row["raw_score"] for row in scores} == {None}
        Journal(path).close()


def test_station_goes_on_with_its_journal(station_dir: Path, call: Call) -> None:
    station = station_dir / "semedge.toml"
    text = station.read_text().replace("features = { BlackLevel = 2 }\n", "")
    station.write_text(text.split("[web]")[0].replace("max_frames = 60", "max_frames = 20"))
    before = json.loads((FILES / "history.json").read_text())["events"]
    watched = call("watch", "--station", station)
    assert watched.status == 0, watched.err
    shown = call("history", "--journal", station_dir / "journal.sqlite", "--json")
    after = json.loads(shown.out)["events"]
    assert [each["key"] for each in after[: len(before)]] == [each["key"] for each in before]
    assert len(after) > len(before)

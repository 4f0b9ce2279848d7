"""A station judges only after it has passed its challenge set, where that is required."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from bundles import normal_frames, with_film
from commandcall import Call

from semedge.decision.defect import DecisionSettings, Levels
from semedge.journal.journal import Journal
from semedge.journal.query import Query
from semedge.journal.reader import JournalReader
from semedge.station.camera_plan import CameraPlan
from semedge.station.camera_setup import SourceChoice
from semedge.station.config.sections import DetectorSection
from semedge.station.load import load_setup
from semedge.station.overrides import fingerprint, save_override


@pytest.fixture
def station(tiny_file: Path, calibration_file: Path, images: Path, tmp_path: Path) -> Path:
    golden, defects = tmp_path / "golden", tmp_path / "defects"
    for folder in (golden, defects):
        folder.mkdir()
    for number, image in enumerate(normal_frames()[:2]):
        cv2.imwrite(str(golden / f"good{number}.png"), image)
        cv2.imwrite(str(defects / f"bad{number}.png"), with_film(image))
    path = tmp_path / "semedge.toml"
    path.write_text(
        f"""
        [camera]
        source = "{images}"
        [detector]
        file = "{tiny_file}"
        workers = 1
        [calibration]
        file = "{calibration_file}"
        [journal]
        file = "journal.sqlite"
        [challenge]
        golden = "golden"
        defects = "defects"
        [watch]
        require_check = true
        """
    )
    return path


def defects_reported(call: Call, station: Path) -> int:
    result = call("watch", "--station", station, "--json")
    assert result.status == 0, result.err
    events = [json.loads(line) for line in result.out.splitlines()]
    return sum((event["kind"], event["phase"]) == ("defect", "start") for event in events)


def test_a_station_judges_once_it_has_passed(call: Call, station: Path, tmp_path: Path) -> None:
    assert defects_reported(call, station) == 0
    result = call("check", "--station", station, "--json")
    assert result.status == 0, result.err
    assert json.loads(result.out)["camera"] == {
        "golden": 2,
        "defects": 2,
        "alarmed": [],
        "missed": [],
        "passed": True,
    }
    assert defects_reported(call, station) == 1
    with JournalReader(tmp_path / "journal.sqlite") as history:
        (event,) = history.rows(Query(kind="check"))
        assert event["code"] == "passed"
        assert "0 of 2 good samples alarmed, 2 of 2 bad" in event["message"]


def test_samples_are_judged_where_frames_are_inspected(call: Call, station: Path) -> None:
    text = station.read_text()
    height, width = normal_frames()[0].shape
    left_out = f"leave_out_px = [[0, 0, {width}, {height - 32}]]"
    station.write_text(text.replace("[camera]", f"[camera]\n{left_out}"))
    result = call("check", "--station", station, "--json")
    assert result.status == 1, result.err
    assert len(json.loads(result.out)["camera"]["missed"]) == 2, "the films lie in what is left out"


def test_a_pass_is_valid_for_the_active_setup_alone(call: Call, station: Path) -> None:
    assert call("check", "--station", station).status == 0
    station.write_text(station.read_text() + "[decision]\nalarm = 9.0\n")
    assert defects_reported(call, station) == 0
    assert call("check", "--station", station).status == 0
    assert defects_reported(call, station) == 1


def test_a_camera_that_judges_wrongly_is_not_qualified_any_more(
    call: Call, station: Path, tmp_path: Path
) -> None:
    assert call("check", "--station", station).status == 0
    result = call("check", "--station", station, "--golden", tmp_path / "defects")
    assert result.status == 1
    assert "FAILED: 2 of 2 good samples " in result.out
    assert "bad0.png" in result.out
    assert defects_reported(call, station) == 0
    missed = call("check", "--station", station, "--defects", tmp_path / "golden")
    assert " 0 of 2 bad samples " in missed.out


def test_levels_that_were_moved_at_run_time_are_what_is_checked(
    call: Call, station: Path, tiny_file: Path, calibration_file: Path, tmp_path: Path
) -> None:
    setup = load_setup(
        CameraPlan(
            "camera",
            SourceChoice("x"),
            DetectorSection(file=tiny_file, workers=1),
            calibration_file,
            DecisionSettings(),
        )
    )
    with setup.detector, Journal(tmp_path / "journal.sqlite") as journal:
        moved = type(setup)(
            setup.camera, setup.detector, setup.calibration, Levels(1e6), setup.decision
        )
        save_override(journal, "camera", moved, fingerprint(setup), None)
    result = call("check", "--station", station)
    assert result.status == 1
    assert " 0 of 2 bad samples " in result.out


def test_what_variables_give_a_watch_is_what_is_checked(
    call: Call, station: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEMEDGE_CALIBRATION", str(tmp_path / "other.json"))
    for command in (("watch",), ("check",)):
        result = call(*command, "--station", station)
        assert result.status == 1
        assert "other.json" in result.err


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (('golden = "golden"', ""), "challenge.golden "),
        (('golden = "golden"', 'golden = "empty"'), "empty"),
        (('file = "journal.sqlite"', ""), "journal.file"),
    ],
)
def test_what_is_missing_is_named(
    call: Call, station: Path, tmp_path: Path, change: tuple[str, str], names: str
) -> None:
    (tmp_path / "empty").mkdir()
    station.write_text(station.read_text().replace(*change))
    result = call("check", "--station", station)
    assert result.status == 1
    assert names in result.err
    assert "Traceback" not in result.err

"""`watch`, `score` and `inspect` as a user calls them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import tiny_members
from commandcall import Call

from semedge.journal.journal import Journal


def test_watch_raises_alerts_and_keeps_them(
    call: Call, images: Path, tiny_file: Path, calibration_file: Path, tmp_path: Path
) -> None:
    result = call(
        "watch", "--camera", images, "--detector", tiny_file, "--calibration", calibration_file
    )
    assert result.status == 0, result.err
    assert result.out == ""
    line, end = [line for line in result.err.splitlines() if line.startswith("ALARM ")]
    assert " camera start: Frame 1 (" in line
    assert " camera end: Over after 1 frame in " in end
    assert f"({images / 'frame2.png'})" in line
    overlay = Path(line.rsplit(" ", 1)[1])
    assert overlay.is_relative_to(tmp_path / "semedge-pictures")
    assert cv2.imread(str(overlay)) is not None
    assert result.err.splitlines()[-1].startswith(
        "4 frames seen, 3 inspected, 1 skipped, 0 lost; 1 alert; "
    )
    assert "With 95 % confidence, at most 10 % of normal frames raise an alarm" in result.err
    with Journal(tmp_path / "semedge-journal.sqlite") as journal:
        assert journal.counts().events == 2
        assert journal.counts().pending == 0


def test_watch_prints_one_json_line_an_alert(
    call: Call, images: Path, tiny_file: Path, calibration_file: Path
) -> None:
    (images / "broken.png").unlink()
    result = call(
        *("watch", "--camera", images, "--loop", "--max-frames", "12", "--json"),
        *("--detector", tiny_file, "--calibration", calibration_file),
    )
    assert result.status == 0, result.err
    events = [json.loads(line) for line in result.out.splitlines()]
    assert [event["sequence"] for event in events] == [1, 1, 4, 4, 7, 7, 10, 10]
    assert [event["phase"] for event in events] == ["start", "end"] * 4
    assert {event["source"] for event in events} == {str(images / "frame2.png")}
    assert len({event["event_id"] for event in events}) == 4
    assert "; 4 alerts; " in result.err


@pytest.mark.parametrize(
    ("arguments", "status", "values"),
    [
        ([], 2, "--camera SOURCE"),
        (["--camera", "sim:1"], 2, "semedge calibrate --images DIR --out calibration.json"),
        (
            ["--camera", "sim:1", "--detector", "d.semedge"],
            2,
            "semedge calibrate --detector d.semedge --images DIR --out calibration.json",
        ),
        (
            ["--camera", "sim:1", "--detector", "absent", "--calibration", "c.json"],
            1,
            "detector absent ",
        ),
        (["--camera", "sim:1", "--timeout-s", "0"], 2, "--timeout-s"),
        (["--camera", "sim:1", "--stride", "0"], 2, "--stride"),
        (["--station", "absent.toml"], 1, "absent.toml "),
    ],
)
def test_watch_names_what_it_lacks(
    call: Call, arguments: list[str], status: int, values: str, tmp_path: Path
) -> None:
    result = call("watch", *arguments)
    assert result.status == status
    assert values in result.err
    assert list(tmp_path.iterdir()) == [], "nothing is made before everything is there"


@pytest.mark.parametrize(
    ("change", "values"),
    [
        ({"--camera": "absent-folder"}, " absent-folder"),
        ({"--camera": "sim:x"}, "Received: sim:x"),
        ({"--calibration": "absent.json"}, "absent.json "),
        ({"--stride": "16"}, "stride 32, and the detector runs with 16"),
        ({"--journal": "text.sqlite"}, "text.sqlite "),
    ],
)
def test_watch_cannot_start(
    call: Call,
    tiny_file: Path,
    calibration_file: Path,
    tmp_path: Path,
    change: dict[str, str],
    values: str,
) -> None:
    (tmp_path / "text.sqlite").write_text("these are my notes, not a database\n" * 50)
    options = {
        "--camera": "sim:1",
        "--detector": str(tiny_file),
        "--calibration": str(calibration_file),
        **change,
    }
    result = call("watch", *(part for pair in options.items() for part in pair))
    assert result.status == 1
    assert values in result.err.splitlines()[-1]
    assert result.out == ""


def test_flags_win_over_variables_over_the_station_file_over_defaults(
    call: Call,
    tiny_file: Path,
    calibration_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "station").mkdir()
    station = tmp_path / "station" / "semedge.toml"
    station.write_text(
        f"""
        [camera]
        source = "sim:1?size=256x192"
        [detector]
        file = "{tiny_file}"
        workers = 1
        [calibration]
        file = "{calibration_file}"
        [journal]
        file = "station.sqlite"
        [watch]
        max_frames = 1
        """
    )

    def frames_and_journal(*arguments: str) -> tuple[str, list[str]]:
        result = call("watch", "--station", station, *arguments)
        assert result.status == 0, result.err
        found = [*tmp_path.glob("*.sqlite"), *tmp_path.glob("*/*.sqlite")]
        return result.err.splitlines()[-1].split(",")[0], sorted(path.name for path in found)

    assert frames_and_journal() == ("1 frames seen", ["station.sqlite"])
    monkeypatch.setenv("SEMEDGE_MAX_FRAMES", "2")
    monkeypatch.setenv("SEMEDGE_JOURNAL", "variable.sqlite")
    assert frames_and_journal() == ("2 frames seen", ["station.sqlite", "variable.sqlite"])
    assert frames_and_journal("--max-frames", "3", "--journal", "flag.sqlite") == (
        "3 frames seen",
        ["flag.sqlite", "station.sqlite", "variable.sqlite"],
    )


def test_score_tables_every_image(
    call: Call, images: Path, tiny_file: Path, calibration_file: Path, tmp_path: Path
) -> None:
    result = call(
        *("score", images, "--detector", tiny_file, "--calibration", calibration_file),
        *("--out", "scores.csv", "--json"),
    )
    assert result.status == 0, result.err
    document = json.loads(result.out)
    names = [Path(file["path"]).name for file in document["files"]]
    assert names == ["frame1.png", "frame2.png", "frame10.png"]
    assert [file["above_threshold"] for file in document["files"]] == [False, True, False]
    film = document["files"][1]
    assert film["frame_score"] > document["threshold"]
    assert 90 <= film["peak_x_px"] <= 154
    assert 60 <= film["peak_y_px"] <= 124
    assert len(document["skipped"]) == 1
    assert "broken.png" in document["skipped"][0]
    assert "3 scored, 1 skipped, 1 above the threshold" in result.err
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["frame_score"]) for row in rows] == [
        file["frame_score"] for file in document["files"]
    ]
    assert [row["above_threshold"] for row in rows] == ["False", "True", "False"]


def test_score_reports_frames_of_another_size(
    call: Call, images: Path, tiny_file: Path, calibration_file: Path, tmp_path: Path
) -> None:
    whole = cv2.imread(str(images / "frame1.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(tmp_path / "part.png"), whole[:-32])
    given = ["--detector", tiny_file, "--calibration", calibration_file]
    assert (
        "the calibration's guarantee counts areas of"
        not in call("score", images / "frame1.png", *given).err
    )
    warned = call("score", tmp_path / "part.png", *given)
    assert warned.status == 0, warned.err
    height, width = whole.shape
    assert (
        f"part.png has {width}x{height - 32} px, and the calibration's guarantee counts areas of "
        f"{width}x{height} px"
    ) in warned.err


def test_score_reports_files_in_colour(
    call: Call, images: Path, tiny_file: Path, tmp_path: Path
) -> None:
    assert "is in colour" not in call("score", images / "frame1.png", "--detector", tiny_file).err
    picture = cv2.imread(str(images / "frame1.png"))
    picture[20:60, 20:60] = (0, 0, 255)
    cv2.imwrite(str(tmp_path / "red.png"), picture)
    warned = call("score", tmp_path / "red.png", "--detector", tiny_file)
    assert warned.status == 0, warned.err
    assert "red.png is in colour, and the detector judges gray values" in warned.err


def test_score_without_a_calibration_for_people(call: Call, images: Path, tiny_file: Path) -> None:
    result = call("score", images / "frame1.png", images / "frame2.png", "--detector", tiny_file)
    assert result.status == 0, result.err
    assert result.out == ""
    assert len([line for line in result.err.splitlines() if "frame" in line]) == 2
    assert "ALARM" not in result.err
    assert result.err.endswith("2 scored, 0 skipped.\n")


@pytest.mark.parametrize(
    ("arguments", "status", "values"),
    [
        (["images/broken.png"], 1, " 1 files "),
        (["images/none*.png"], 1, "images/none*.png"),
        (["small.png"], 1, "40x20 px "),
        (["images", "--out", "images/frame1.png/x.csv"], 1, "images/frame1.png/x.csv"),
        (["images", "--calibration", "small.png"], 1, "calibration small.png "),
        ([], 2, "Missing argument"),
    ],
)
def test_score_reports_what_is_wrong(
    call: Call,
    images: Path,
    tiny_file: Path,
    tmp_path: Path,
    arguments: list[str],
    status: int,
    values: str,
) -> None:
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((20, 40), np.uint8))
    result = call("score", *arguments, "--detector", tiny_file)
    assert result.status == status
    assert values in result.err
    assert result.out == ""


def test_inspect_shows_what_a_bundle_contains(call: Call, tiny_file: Path) -> None:
    result = call("inspect", tiny_file)
    assert result.status == 0, result.err
    for fact in (
        "tiny; thesis section none",
        "32x32 px, stride 32 px",
        "float32",
        "gaussian = 1 embedding_gaussian",
        "doubled = 2 embedding_gaussian",
        "h_x = embedding(x)",
        f"embedding.tflite, {len(tiny_members()['embedding.tflite']):,} bytes",
        "rank correlation 1.00000",
    ):
        assert fact in result.err


def test_inspect_prints_the_manifest(call: Call, tiny_file: Path) -> None:
    document = json.loads(call("inspect", tiny_file, "--json").out)
    assert document["path"] == str(tiny_file)
    assert document["manifest"]["detector"] == "tiny"
    assert set(document["manifest"]["members"]) == set(tiny_members())


def test_inspect_refuses_what_is_no_bundle(call: Call, images: Path) -> None:
    result = call("inspect", images / "broken.png")
    assert result.status == 1
    assert "broken.png" in result.err
    assert len(result.err.splitlines()) == 1


def test_watch_hands_its_events_to_the_sinks_of_the_station_file(
    call: Call, images: Path, tiny_file: Path, calibration_file: Path, tmp_path: Path
) -> None:
    station = tmp_path / "semedge.toml"
    station.write_text(
        f"""
        [camera]
        source = "{images}"
        [sinks.lamp]
        kind = "command"
        argv = ["sh", "-c", "cat >> given"]
        """
    )
    result = call(
        *("watch", "--station", station, "--detector", tiny_file),
        *("--calibration", calibration_file, "--json"),
    )
    assert result.status == 0, result.err
    given = [json.loads(line) for line in (tmp_path / "given").read_text().splitlines()]
    printed = [json.loads(line) for line in result.out.splitlines()]
    assert given == printed
    assert [each["phase"] for each in given] == ["start", "end"]


class TestHistoryOfAStation:
    def test_the_journal_is_the_stations(self, call: Call, tmp_path: Path) -> None:
        (tmp_path / "line.toml").write_text("[journal]\nfile = 'line.sqlite'\n")
        missing = call("history", "--station", "line.toml")
        assert missing.status == 1
        assert "There is no journal" in missing.err
        assert "line.sqlite" in missing.err
        call("watch", "--camera", "sim:1?frames=1&size=64x64", "--station", "line.toml")
        if not (tmp_path / "line.sqlite").exists():
            Journal(tmp_path / "line.sqlite").close()
        shown = call("history", "--station", "line.toml")
        assert shown.status == 0, shown.err

    def test_a_journal_that_does_not_exist_is_called_so(self, call: Call, tmp_path: Path) -> None:
        result = call("history")
        assert result.status == 1
        assert "There is no journal semedge-journal.sqlite yet" in result.err
        assert list(tmp_path.iterdir()) == []

"""`semedge score` on many files: resumed without a row twice, in order, with bounded memory."""

from __future__ import annotations

import csv
import json
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import pyarrow.parquet
import pytest
from bundles import normal_frames, with_film
from commandcall import Call

from semedge.core.errors import SemedgeError
from semedge.core.view import FrameView, ViewSettings
from semedge.inference.batch.local import _in_order, score_locally
from semedge.inference.batch.results import ScoreStore
from semedge.inference.batch.score_file import (
    FileScorer,
    ScoredFile,
    ScoreSettings,
    SkippedFile,
    file_stamp,
)
from semedge.inference.bundle import read_bundle
from semedge.inference.detector import Detector

SENTINEL = 123.25


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Nine frames, one of which has a film, two files that are no image and one too small."""
    folder = tmp_path / "images"
    folder.mkdir()
    normal = normal_frames()
    for number in range(9):
        image = with_film(normal[1]) if number == 4 else normal[number % len(normal)]
        cv2.imwrite(str(folder / f"f{number}.png"), image)
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no picture")
    cv2.imwrite(str(folder / "small.png"), normal[0][:20, :40])
    return folder


def settings_for(detector: Path, **changes: Any) -> ScoreSettings:
    with Detector.load(detector, workers=1) as loaded:
        view = {name: changes.pop(name) for name in [*changes] if name in ViewSettings.model_fields}
        settings = ScoreSettings.of(loaded, ViewSettings(**view))
    return ScoreSettings(**{**vars(settings), **changes})


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_many_files_become_a_table(call: Call, images: Path, tiny_file: Path) -> None:
    result = call("score", images, images / "f*.png", "--detector", tiny_file, "--out", "s.csv")
    assert result.status == 0, result.err
    rows = read_csv(Path("s.csv"))
    assert [row["path"] for row in rows] == [str(images / f"f{n}.png") for n in range(9)]
    assert max(rows, key=lambda row: float(row["frame_score"]))["path"].endswith("f4.png")
    *skipped, summary = result.err.splitlines()
    assert len(skipped) == 3
    for line, name in zip(skipped, ("empty.png", "small.png", "text.png"), strict=True):
        assert line.startswith(f"Skipped: {images / name} ")
    assert "40x20 px" in skipped[1]
    assert summary == "9 scored, 3 skipped; the scores are in s.csv."
    assert sorted(path.name for path in Path.cwd().glob("s.csv*")) == ["s.csv"]


def test_parquet_holds_the_same(
    call: Call, images: Path, tiny_file: Path, calibration_file: Path
) -> None:
    for out in ("s.csv", "s.parquet"):
        result = call(
            *("score", images, "--detector", tiny_file, "--calibration", calibration_file),
            *("--out", out),
        )
        assert result.status == 0, result.err
    table = pyarrow.parquet.read_table("s.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {
        "path": "string",
        "frame_score": "double",
        "raw_score": "double",
        "peak_x_px": "int64",
        "peak_y_px": "int64",
        "above_threshold": "bool",
    }
    as_text = [{name: str(value) for name, value in row.items()} for row in table.to_pylist()]
    assert as_text == read_csv(Path("s.csv"))
    assert [row["above_threshold"] for row in table.to_pylist()].count(True) == 1


def test_the_number_of_workers_changes_nothing(images: Path, tiny_file: Path) -> None:
    files = [str(path) for path in sorted(images.iterdir())]
    results = [
        list(score_locally(files, read_bundle(tiny_file), 16, FrameView(), workers))
        for workers in (1, 2, 5, 40)
    ]
    assert [result.path for result in results[0]] == files
    assert sum(isinstance(result, SkippedFile) for result in results[0]) == 3
    assert all(each == results[0] for each in results)


def test_an_interrupted_run_goes_on(call: Call, images: Path, tiny_file: Path) -> None:
    """What is there is not scored again, and a file that was unreadable is tried again."""
    with ScoreStore(Path("s.csv.partial"), settings_for(tiny_file)) as store:
        paths = [str(images / f"f{n}.png") for n in (6, 2)]
        store.add([ScoredFile(path, SENTINEL, 6, 7, *file_stamp(path)) for path in paths])
    cv2.imwrite(str(images / "empty.png"), normal_frames()[0])
    result = call("score", images, "--detector", tiny_file, "--out", "s.csv")
    assert result.status == 0, result.err
    assert result.err.startswith("2 of 12 files ")
    rows = read_csv(Path("s.csv"))
    assert [Path(row["path"]).stem for row in rows] == ["empty", *(f"f{n}" for n in range(9))]
    stored = [row["path"] for row in rows if float(row["frame_score"]) == SENTINEL]
    assert [Path(path).stem for path in stored] == ["f2", "f6"]
    assert not list(Path.cwd().glob("s.csv.*"))


@pytest.mark.parametrize("content", [b"no picture", None])
def test_a_file_that_was_replaced_is_scored_again(
    call: Call, images: Path, tiny_file: Path, content: bytes | None
) -> None:
    replaced = images / "f2.png"
    with ScoreStore(Path("s.csv.partial"), settings_for(tiny_file)) as store:
        store.add([ScoredFile(str(replaced), SENTINEL, 6, 7, *file_stamp(str(replaced)))])
    replaced.write_bytes(content or (images / "f4.png").read_bytes())
    assert call("score", images, "--detector", tiny_file, "--out", "s.csv").status == 0
    scores = {Path(row["path"]).stem: float(row["frame_score"]) for row in read_csv(Path("s.csv"))}
    assert scores.get("f2") == (None if content else scores["f4"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("stride_px", 8), ("detector_sha256", "0" * 64), ("crop_bottom_px", 3), ("semedge", "0.0")],
)
def test_an_interrupted_run_of_other_settings_is_left_alone(
    call: Call, images: Path, tiny_file: Path, name: str, value: object
) -> None:
    with ScoreStore(Path("s.csv.partial"), settings_for(tiny_file, **{name: value})) as store:
        store.add([ScoredFile("a", SENTINEL, 1, 2)])
    result = call("score", images, "--detector", tiny_file, "--out", "s.csv")
    assert result.status == 1
    assert re.search(rf"s\.csv\.partial .*{name} {re.escape(repr(value))}.* --out", result.err)
    with ScoreStore(Path("s.csv.partial"), settings_for(tiny_file, **{name: value})) as store:
        assert [row.frame_score for row in store.rows(["a", "b"])] == [SENTINEL]


def test_two_runs_do_not_write_one_table(call: Call, images: Path, tiny_file: Path) -> None:
    with ScoreStore(Path("s.csv.partial"), settings_for(tiny_file)):
        result = call("score", images, "--detector", tiny_file, "--out", "s.csv")
    assert result.status == 1
    assert "Another `semedge score` writes to s.csv.partial;" in result.err


@pytest.mark.parametrize("content", [b"no database", b"", None])
def test_a_strange_file_in_the_stores_place_is_refused(
    call: Call, images: Path, tiny_file: Path, content: bytes | None
) -> None:
    """An empty file is what a run leaves that was killed at its very start."""
    place = Path("s.csv.partial")
    if content is None:
        place.mkdir()
    else:
        place.write_bytes(content)
    result = call("score", images, "--detector", tiny_file, "--out", "s.csv")
    if content == b"":
        assert result.status == 0, result.err
        return
    assert result.status == 1
    assert "Error: s.csv.partial " in result.err


def test_a_full_disk_is_reported_and_loses_no_stored_result(
    small_disk: Path, tiny_file: Path
) -> None:
    settings = settings_for(tiny_file)
    path = small_disk / "s.csv.partial"
    stored: list[str] = []

    def fill(store: ScoreStore) -> None:
        while True:
            names = [f"{len(stored) + n}{'x' * 200}" for n in range(100)]
            store.add([ScoredFile(name, 1.0, 2, 3) for name in names])
            stored.extend(names)

    with ScoreStore(path, settings) as store, pytest.raises(SemedgeError) as caught:
        fill(store)
    assert "s.csv.partial " in str(caught.value)
    assert len(stored) > 1000
    with ScoreStore(path, settings) as store:
        assert store.missing(stored) == []


@pytest.mark.parametrize("out", ["scores.txt", "scores"])
def test_another_ending_is_refused_before_anything_is_scored(
    call: Call, images: Path, tiny_file: Path, out: str
) -> None:
    result = call("score", images, "--detector", tiny_file, "--out", out)
    assert result.status == 1
    assert re.fullmatch(rf"Error: .*\.csv or \.parquet\. Received: {out}\n", result.err)


def test_names_that_are_not_utf8(call: Call, images: Path, tiny_file: Path) -> None:
    other = os.fsdecode(os.fsencode(str(images)) + b"/f\xff.png")
    os.rename(images / "f0.png", other)  # noqa: PTH104 - a name that is no text
    for out in ("s.csv", "s.parquet"):
        result = call("score", images, "--detector", tiny_file, "--out", out, "--json")
        assert result.status == 0, result.err
        assert len(json.loads(result.out)["files"]) == 9
    assert any(row["path"].endswith(r"f\udcff.png") for row in read_csv(Path("s.csv")))


def test_results_wait_for_their_turn_in_a_bounded_number() -> None:
    """The first file takes until the reader has been ahead of it for long."""
    started: list[str] = []
    first_may_end = threading.Event()

    def score(path: str) -> SkippedFile:
        started.append(path)
        if path == "0":
            assert first_may_end.wait(10)
        return SkippedFile(path, "")

    files = [str(number) for number in range(100)]
    with ThreadPoolExecutor(4) as pool:
        results = _in_order(pool, score, files, 8)
        threading.Timer(0.3, first_may_end.set).start()
        assert next(results).path == "0"
        assert len(started) <= 9
        assert [result.path for result in results] == files[1:]


def test_a_file_that_goes_away_is_skipped(images: Path, tiny_file: Path) -> None:
    with FileScorer(read_bundle(tiny_file), 32, FrameView()) as scorer:
        result = scorer.score(str(images / "gone.png"))
    assert isinstance(result, SkippedFile)
    assert re.search(r"gone\.png .*\(No such file", result.reason)

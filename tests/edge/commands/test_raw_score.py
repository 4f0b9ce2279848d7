"""The raw score is stored beside the score: in tables, in events and in the history."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet
import pytest
from bundles import normal_frames, tiny_bundle, tiny_calibration, with_film
from commandcall import Call
from learned import learned, simulated, with_blot

from semedge.core.frame import Frame
from semedge.decision.calibrate import calibrate_detector
from semedge.decision.calibration_request import CalibrationRequest
from semedge.inference.bundle import read_bundle
from semedge.inference.detector import Detector
from semedge.inference.feature_manifest import FeatureScore, Scale
from semedge.learning.options import LearnOptions

JOURNAL = ("--journal", "journal.sqlite")


@pytest.fixture(scope="module", params=["learned", "trained"])
def line(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: a detector, its calibration, and frames of which the second has a defect."""
    folder = tmp_path_factory.mktemp(request.param)
    bundle, calibration = folder / "line.semedge", folder / "line.json"
    if request.param == "trained":
        calibration = tiny_calibration(calibration, tiny_bundle(bundle))
        first, second, *_ = normal_frames()
        images = first, with_film(second)
    else:
        bundle.write_bytes(learned(LearnOptions(position="off", even_light="on")).bundle_content)
        normal = [Frame(image, at, 0.0, f"{at}") for at, image in enumerate(simulated(30, 200))]
        with Detector.load(bundle) as detector:
            made = calibrate_detector(detector, normal, CalibrationRequest(false_alarm_rate=0.1))
        calibration.write_text(made.to_json())
        first, second = simulated(2, 300)
        images = first, with_blot(second, side_px=40)
    (folder / "frames").mkdir()
    for at, image in enumerate(images):
        cv2.imwrite(str(folder / "frames" / f"{at}.png"), np.asarray(image))
    return folder


def scale_of(line: Path) -> tuple[float, float]:
    """What the bundle's manifest says: the raw score of a score of 0, and that of 1 above it."""
    score = read_bundle(line / "line.semedge").manifest.score
    scale = score.scale if isinstance(score, FeatureScore) else Scale(origin=0, unit=1)
    return scale.origin, scale.unit


def check(line: Path, rows: list[Mapping[str, Any]], name: str = "frame_score") -> None:
    origin, unit = scale_of(line)
    assert rows
    scores = [(float(row[name]), float(row["raw_score"])) for row in rows]
    assert [raw for _, raw in scores] == [origin + unit * score for score, _ in scores]
    assert [raw for _, raw in sorted(scores)] == sorted(raw for _, raw in scores)


def read_csv(path: str) -> list[Mapping[str, str]]:
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_scored_files_have_it(call: Call, line: Path) -> None:
    arguments = ("score", line / "frames", "--detector", line / "line.semedge")
    scored = call(*arguments, "--out", "scores.csv", "--json")
    assert scored.status == 0, scored.err
    rows = read_csv("scores.csv")
    assert len(rows) == 2
    check(line, rows)
    document = json.loads(scored.out)["files"]
    assert [str(row["raw_score"]) for row in document] == [row["raw_score"] for row in rows]


def test_events_and_the_history_have_it(call: Call, line: Path) -> None:
    watched = call(
        *("watch", "--camera", line / "frames", "--detector", line / "line.semedge"),
        *("--calibration", line / "line.json", *JOURNAL, "--json"),
    )
    assert watched.status == 0, watched.err
    events = [json.loads(text) for text in watched.out.splitlines()]
    defects = [event for event in events if event["kind"] == "defect"]
    check(line, defects)
    stored = json.loads(call("history", *JOURNAL, "--json").out)["events"]
    assert [event["raw_score"] for event in stored] == [event["raw_score"] for event in events]
    for subject, name in (("events", "frame_score"), ("scores", "score")):
        exported = call("history", subject, *JOURNAL, "--out", f"{subject}.csv")
        assert exported.status == 0, exported.err
        check(line, [row for row in read_csv(f"{subject}.csv") if row[name]], name)
    assert len(read_csv("scores.csv")) == 2
    assert call("history", "runs", *JOURNAL, "--out", "runs.parquet").status == 0
    (run,) = pyarrow.parquet.read_table("runs.parquet").to_pylist()
    assert (run["score_origin"], run["score_unit"]) == scale_of(line)

"""From normal frames to an alert, through the command line: train, export, calibrate, watch."""

from __future__ import annotations

import importlib.util
import json
import signal
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest
from commandline import SEMEDGE, call, environment, every_frame_by_itself, succeed
from pictures import check_all_decode, check_of_alert

from semedge.cameras.simulation import SimulatedLine

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None,
    reason="TensorFlow is not installed; pip install -e '.[train]'",
)

TRAINING = "sim:5?size=128x128&frames=4"
NORMAL = "sim:6?size=128x128&frames=59"
FRAMES = 40
LINE_SEED = 7
LINE = f"sim:{LINE_SEED}?size=128x128&defects=0.5&frames={FRAMES}"
SHAPE = (128, 128)


@dataclass(frozen=True)
class Station:
    """A folder with a detector that a few steps made, and its calibration."""

    folder: Path
    calibration: dict[str, Any]

    @property
    def given(self) -> tuple[object, ...]:
        """The options of `watch` for them."""
        return (
            *("--detector", self.folder / "fibre.semedge"),
            *("--calibration", self.folder / "fibre.json"),
        )


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SENCEBGAN of six steps, in int8, judged by the score that needs the least training."""
    folder = tmp_path_factory.mktemp("station")
    succeed(
        folder,
        *("train", "--detector", "sencebgan", "--images", TRAINING),
        *("--steps", 6, "--out", "run"),
    )
    return folder / "run"


@pytest.fixture(scope="module")
def station(detector: Path) -> Station:
    folder = detector.parent
    (manifest,) = succeed(
        folder,
        *("export", detector, "--quantization", "int8", "--score", "residual_surprise"),
        *("--only-score", "--stride", 32, "--out", "fibre.semedge", "--json"),
    ).events
    assert manifest["quantization"] == "int8"
    assert manifest["training"]["frames"] == 4
    (calibration,) = succeed(
        folder,
        *("calibrate", "--detector", "fibre.semedge", "--images", NORMAL, "--json"),
        *("--false-alarm-rate", 0.05, "--out", "fibre.json"),
    ).events
    return Station(folder, calibration)


def journal_rows(journal: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(journal)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_the_calibration_has_its_guarantee(station: Station) -> None:
    assert station.calibration["groups"] == 59
    assert station.calibration["proved_rate"] <= 0.05
    assert station.calibration["warnings"] == []


def test_frames_of_the_training_are_refused(station: Station, tmp_path: Path) -> None:
    result = call(
        tmp_path,
        *("calibrate", "--detector", station.folder / "fibre.semedge", "--images", TRAINING),
        *("--out", "c.json"),
    )
    assert result.status == 3
    assert "trained on" in result.error
    assert list(tmp_path.iterdir()) == []


def test_watch_raises_what_is_not_normal(station: Station, tmp_path: Path) -> None:
    result = succeed(
        tmp_path,
        *("watch", "--camera", LINE, "--json", *station.given),
        *every_frame_by_itself(tmp_path),
    )
    line = SimulatedLine(LINE_SEED, shape=SHAPE, defect_rate=0.5)
    defective = {number for number in range(FRAMES) if line.frame(number).mask.any()}
    raised = {alert["sequence"] for alert in result.starts}
    assert len(raised & defective) > len(defective) / 3
    assert len(raised - defective) <= 0.2 * (FRAMES - len(defective))
    for alert in result.starts:
        assert alert["frame_score"] > alert["threshold"] == station.calibration["threshold"]
        check_of_alert(alert, SHAPE)
        picture = cv2.imread(alert["frame_picture"], cv2.IMREAD_UNCHANGED)
        assert (picture == line.frame(alert["sequence"]).image).all()
    stored = journal_rows(tmp_path / "semedge-journal.sqlite", "SELECT document FROM events")
    assert [json.loads(event) for (event,) in stored] == result.events
    assert check_all_decode(tmp_path / "semedge-pictures") == 2 * len(result.starts)


def test_a_second_watch_repeats_no_alert(station: Station, tmp_path: Path) -> None:
    watch = ("watch", "--camera", LINE, "--json", *station.given)
    first, second = (succeed(tmp_path, *watch).events for _ in range(2))
    assert [alert["sequence"] for alert in first] == [alert["sequence"] for alert in second]
    keys = [alert["key"] for alert in (*first, *second)]
    assert len(set(keys)) == len(keys) > 0
    journal = tmp_path / "semedge-journal.sqlite"
    assert journal_rows(
        journal, "SELECT event_id || '-' || number FROM events ORDER BY number"
    ) == [(each,) for each in keys]
    deliveries = "SELECT DISTINCT attempts, delivered_at IS NULL FROM deliveries"
    assert journal_rows(journal, deliveries) == [(1, 0)], "each went out once"


def test_a_calibration_of_another_detector_is_refused(station: Station, tmp_path: Path) -> None:
    result = call(
        tmp_path,
        *("watch", "--camera", LINE, "--stride", 32),
        *("--calibration", station.folder / "fibre.json"),
    )
    assert result.status == 1
    assert "the demo detector" in result.error
    assert "run `semedge calibrate`" in result.error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("after", [1, 2, 5])
def test_kill_9_leaves_whole_files(station: Station, tmp_path: Path, after: int) -> None:
    """The process is killed as soon as it has printed some alerts, in the midst of the next."""
    endless = "sim:8?size=512x384&defects=1"
    process = subprocess.Popen(
        [*SEMEDGE, "watch", "--camera", endless, "--json", *map(str, station.given)],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        printed = [json.loads(process.stdout.readline()) for _ in range(after)]
    finally:
        process.kill()
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    journal = tmp_path / "semedge-journal.sqlite"
    assert journal_rows(journal, "PRAGMA integrity_check") == [("ok",)]
    stored = [
        json.loads(event) for (event,) in journal_rows(journal, "SELECT document FROM events")
    ]
    assert stored[:after] == printed
    for alert in stored:
        check_of_alert(alert, (384, 512))
    # A message without a new picture, such as an end, names those of the one before.
    named = {alert[picture] for alert in stored for picture in ("frame_picture", "overlay_picture")}
    assert check_all_decode(tmp_path / "semedge-pictures") >= len(named) >= 2
    succeed(tmp_path, "watch", "--camera", f"{endless}&frames=1", *station.given)
    pending = "SELECT count(*) FROM deliveries WHERE delivered_at IS NULL"
    assert journal_rows(journal, pending) == [(0,)]

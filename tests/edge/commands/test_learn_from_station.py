"""`semedge learn --from-station`: what was marked at a station is learned, and counted right."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from commandcall import Call
from learned import simulated, with_blot

from semedge.cameras import CameraSettings
from semedge.cameras.simulation import SimulatedLine
from semedge.core.frame import Frame, GrayImage
from semedge.core.images import read_mask
from semedge.decision.calibration_request import CalibrationRequest
from semedge.inference.bundle import frame_sha256
from semedge.inference.overlay import encode_png
from semedge.journal.journal import Journal
from semedge.journal.marked_frames import MarkedFrame, MarkedFrames
from semedge.learning.frame_store import LEFT_OUT, FrameStore
from semedge.learning.lesson import LessonRequest, learn_lesson
from semedge.learning.options import LearnOptions
from semedge.learning.screening import Screening
from semedge.station.camera_plan import plan_cameras
from semedge.station.camera_setup import SourceChoice
from semedge.station.config.station import load_station
from semedge.station.load import load_setup
from semedge.station.overrides import fingerprint, save_override
from semedge.station.recipe import make_recipe, read_recipe

OPTIONS = LearnOptions(position="off", even_light="on")
QUICK = ("--option", "position=off", "--option", "even-light=on")
START_S = 1_764_000_000.0
STATION = """
[camera]
source = "frames"
[recipe]
file = "fibre.recipe"
[journal]
file = "journal.sqlite"
pictures = "pictures"
"""


def with_cap(image: GrayImage, number: int) -> GrayImage:
    """The frame with a screw's cap somewhere in it, which is normal here."""
    random = np.random.default_rng(number)
    changed = image.copy()
    height, width = image.shape
    centre = (int(random.integers(30, width - 30)), int(random.integers(30, height - 30)))
    cv2.circle(changed, centre, 8, 225, -1, cv2.LINE_AA)
    cv2.circle(changed, centre, 3, 60, -1, cv2.LINE_AA)
    return changed


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a station file, its recipe, and the frames that it was learned from."""
    folder = tmp_path_factory.mktemp("taught")
    store, screening = FrameStore(folder / "fibre.frames", "sim:11"), Screening()
    for number, image in enumerate(simulated(60)):
        frame = Frame(image, number, START_S + 2 * number, f"sim:11#{number}")
        assert screening.takes(frame)
        store.add(frame)
    lesson = learn_lesson(
        store, LessonRequest(CalibrationRequest(0.1), OPTIONS, accepts_weaker=True), screening
    )
    make_recipe(
        folder / "fibre.recipe",
        "fibre",
        lesson.bundle_content,
        lesson.calibration.to_json().encode(),
        version=3,
    )
    (folder / "semedge.toml").write_text(STATION)
    return folder


@pytest.fixture
def folder(taught: Path, tmp_path: Path) -> Path:
    shutil.copytree(taught, tmp_path, dirs_exist_ok=True)
    return tmp_path


def keep(folder: Path, number: int, image: GrayImage, mark: str = "false-alarm", **more) -> None:
    """Keep a frame with its mark, as the station does."""
    kept = MarkedFrame(
        frame_id=f"camera-20251124T160000.{number:06d}-{number}",
        event_id=None if mark == "missed" else f"{number:032x}",
        camera="camera",
        captured_at_s=START_S + 500 + number,
        sequence=number,
        source=f"frame {number}",
        mark="real",
        marked_at="2025-11-24T17:00:00.000000Z",
        marked_by="page: Ann",
        note="",
        recipe="fibre",
        recipe_sha256=None,
        score=150.0,
        alarm_level=110.0,
    )
    MarkedFrames(folder / "pictures").keep(
        replace(kept, **{"mark": mark, **more}), encode_png(image)
    )


def keep_all(folder: Path) -> None:
    """Six caps as false alarms, two films as real ones, and one that was missed."""
    for number in range(6):
        keep(folder, number, with_cap(simulated(1, 300 + number)[0], number))
    defective = SimulatedLine(12, (160, 192), defect_rate=1.0)
    for number in range(6, 8):
        keep(folder, number, with_blot(defective.frame(number).image, 0, 40), "real")
    keep(folder, 8, with_blot(simulated(1, 400)[0], 250, 40), "missed")


def test_false_alarms_are_learned_and_every_marked_frame_is_judged(
    call: Call, folder: Path
) -> None:
    keep_all(folder)
    before = (folder / "fibre.recipe").read_bytes()
    result = call("learn", "--from-station", "semedge.toml", *QUICK, "--json")
    assert result.status == 0, result.err
    document = json.loads(result.out)
    counts = document["marked"]["counts"]
    assert counts["false-alarm"]["before"] >= 5
    assert counts["false-alarm"]["after"] <= counts["false-alarm"]["before"] - 3
    assert counts["real"] == {"frames": 2, "before": 2, "after": 2}
    assert counts["missed"] == {"frames": 1, "before": 1, "after": 1}
    assert "Real alerts: 2 of 2 were found before, 2 are now." in result.err
    assert "Next: name it in semedge.toml as the recipe" in result.err
    assert (folder / "fibre.recipe").read_bytes() == before
    old, new = read_recipe(folder / "fibre.recipe"), read_recipe(folder / "fibre-4.recipe")
    assert (new.manifest.name, new.manifest.version) == ("fibre", 4)
    assert new.bundle.manifest.training.options["false_alarms"] == "6"
    assert document["path"].endswith("fibre-4.recipe")
    # The frames that set the threshold before set it now, and no false alarm is among them.
    calibrations = [json.loads(each.calibration_content) for each in (old, new)]
    assert calibrations[0]["frames"] == calibrations[1]["frames"]
    assert calibrations[0]["proved_rate"] == calibrations[1]["proved_rate"]
    trained = set(new.bundle.manifest.training.frame_sha256)
    kept = [
        frame_sha256(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        for path in (folder / "pictures" / "marked").glob("*.png")
    ]
    assert len(trained & set(kept)) == 6
    assert len(list((folder / "fibre-4.frames").glob("*.png"))) == 60


def test_regions_that_were_drawn_are_not_learned_from_and_are_in_the_recipe(
    call: Call, folder: Path
) -> None:
    keep_all(folder)
    (plan,) = plan_cameras(load_station(folder / "semedge.toml"))
    setup = load_setup(plan)
    assert isinstance(setup.camera, SourceChoice)
    drawn = replace(setup, camera=setup.camera.leaving_out(((0, 0, 16, 8),)))
    with Journal(folder / "journal.sqlite") as journal:
        save_override(journal, plan.name, drawn, fingerprint(setup), None)
    setup.detector.close()
    result = call("learn", "--from-station", "semedge.toml", *QUICK)
    assert result.status == 0, result.err
    new = read_recipe(folder / "fibre-4.recipe")
    assert new.manifest.camera == CameraSettings(leave_out_px=((0, 0, 16, 8),))
    left_out = read_mask(folder / "fibre-4.frames" / LEFT_OUT)
    assert left_out[:8, :16].all()
    assert left_out.sum() == 8 * 16


def test_from_the_alerts_of_a_line_to_a_recipe_that_knows_better(call: Call, folder: Path) -> None:
    (folder / "frames").mkdir()
    for number in range(4):
        normal, other = simulated(2, 300 + 2 * number)
        cv2.imwrite(str(folder / "frames" / f"{2 * number}.png"), with_cap(normal, number))
        cv2.imwrite(str(folder / "frames" / f"{2 * number + 1}.png"), other)
    station = ("--station", "semedge.toml")
    assert call("watch", *station).status == 0
    shown = json.loads(call("history", *station, "--kind", "defect", "--json").out)
    alerts = {event["event_id"] for event in shown["events"]}
    assert len(alerts) >= 3
    for event_id in alerts:
        assert call("mark", event_id, "--false-alarm", *station).status == 0
    learned = call("learn", "--from-station", "semedge.toml", *QUICK)
    assert learned.status == 0, learned.err
    watched = call(
        *("watch", "--recipe", "fibre-4.recipe", "--camera", "frames", "--journal", "new.sqlite")
    )
    assert watched.status == 0
    assert watched.err.count("ALARM") < len(alerts)


def test_without_a_false_alarm_there_is_nothing_to_learn(call: Call, folder: Path) -> None:
    keep(folder, 1, simulated(1, 300)[0], "real")
    refused = call("learn", "--from-station", "semedge.toml")
    assert refused.status == 1
    assert "No alert of the camera camera is marked as a false alarm" in refused.err
    assert "semedge mark" in refused.err


def test_frames_that_are_gone_are_asked_for_and_others_are_taken(call: Call, folder: Path) -> None:
    keep_all(folder)
    shutil.rmtree(folder / "fibre.frames")
    refused = call("learn", "--from-station", "semedge.toml")
    assert refused.status == 1
    assert "fibre.frames; give normal frames with --images PATH" in refused.err
    assert not list(folder.glob("fibre-4*"))
    (folder / "good").mkdir()
    for number, image in enumerate(simulated(40, 500)):
        cv2.imwrite(str(folder / "good" / f"{number:03}.png"), image)
    result = call("learn", "--from-station", "semedge.toml", "--images", "good", *QUICK)
    # The recipe proved its rate with more frames than half of 40.
    assert result.status == 3, result.err
    assert "--accept-weaker" in result.err
    weaker = call(
        *("learn", "--from-station", "semedge.toml", "--images", "good", *QUICK),
        *("--accept-weaker", "--out", "other.recipe"),
    )
    assert weaker.status == 0, weaker.err
    assert len(list((folder / "other.frames").glob("*.png"))) == 40


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--camera", "left"), "has the cameras camera; name one of them with --camera"),
        (("--out", "fibre.recipe"), r"fibre.recipe exists"),
        (("--out", "new.zip"), "--out must end in .recipe"),
        (("--name", "a/b"), "name must begin with a letter"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_written(
    call: Call, folder: Path, arguments: tuple[str, ...], reason: str
) -> None:
    keep(folder, 1, simulated(1, 300)[0])
    before = sorted(folder.rglob("*"))
    refused = call("learn", "--from-station", "semedge.toml", *arguments)
    assert refused.status in (1, 2)
    assert reason in refused.err
    assert sorted(folder.rglob("*")) == before


def test_a_false_alarm_of_another_size_is_left_out_and_named(call: Call, folder: Path) -> None:
    keep(folder, 1, simulated(1, 300, (128, 160))[0])
    refused = call("learn", "--from-station", "semedge.toml", *QUICK)
    assert refused.status == 1
    assert "has 160x128 px, where the normal frames have 192x160 px" in refused.err
    # A frame of the recipe's own normal frames is no new one.
    keep(folder, 2, simulated(1, 3)[0])
    refused = call("learn", "--from-station", "semedge.toml", *QUICK)
    assert "is among the normal frames already" in refused.err
    assert not (folder / "fibre-4.recipe").exists()

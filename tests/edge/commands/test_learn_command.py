"""`semedge learn` and `semedge collect`, from a camera to a watching station."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from commandcall import Call
from learned import in_colour, simulated, with_blot, with_stain

from semedge.core.images import read_mask, to_gray
from semedge.learning.frame_store import LEFT_OUT
from semedge.station.recipe import read_recipe

LINE = "sim:11?size=192x160"
QUICK = ("--option", "position=off", "--option", "even-light=on")
WEAK = ("--false-alarm-rate", "0.1", "--name", "fibre", "--out", "fibre.recipe")


def test_two_commands_lead_from_a_camera_to_alerts(call: Call, tmp_path: Path) -> None:
    learned = call("learn", "--camera", f"{LINE}&frames=50", *WEAK, *QUICK, "--json")
    assert learned.status == 0, learned.err
    assert "semedge watch --recipe fibre.recipe --camera sim:11" in learned.err
    document = json.loads(learned.out)
    assert document["fit_frames"] + document["calibration_frames"] == 50
    assert document["proved_rate"] <= 0.1
    sheet = cv2.imread(str(tmp_path / "fibre.sheet.png"))
    assert sheet is not None
    assert sheet.shape[1] == 4 * 320
    recipe = read_recipe(tmp_path / "fibre.recipe")
    assert recipe.manifest.name == "fibre"
    assert recipe.bundle.manifest.detector == "pretrained-features"
    good, bad = tmp_path / "new", tmp_path / "bad"
    for folder in (good, bad):
        folder.mkdir()
    for number, image in enumerate(simulated(5, 900)):
        cv2.imwrite(str(good / f"{number}.png"), image)
        cv2.imwrite(str(bad / f"{number}.png"), with_blot(image, side_px=40))
    watched = call("watch", "--recipe", "fibre.recipe", "--camera", bad)
    assert watched.status == 0
    assert watched.err.count("ALARM") >= 1
    assert "5 frames seen, 5 inspected" in watched.err
    watched = call("watch", "--recipe", "fibre.recipe", "--camera", good)
    assert "0 alerts" in watched.err


def test_the_frames_of_a_camera_are_kept_and_used_again(call: Call, tmp_path: Path) -> None:
    refused = call("learn", "--camera", f"{LINE}&frames=30", *WEAK, *QUICK)
    assert refused.status == 3
    assert not (tmp_path / "fibre.recipe").exists()
    assert len(list((tmp_path / "fibre.frames").glob("*.png"))) == 30
    accepted = call(
        *("learn", "--camera", f"{LINE}&frames=30", *WEAK, *QUICK, "--accept-weaker"),
        *("--leave-out-px", "0,0,16,8"),
    )
    assert accepted.status == 0
    left_out = read_mask(tmp_path / "fibre.frames" / LEFT_OUT)
    assert (left_out[:8, :16].all(), left_out.sum()) == (True, 8 * 16)
    assert "Continuing with the 30 frames" in accepted.err
    assert "That is more than was asked for" in accepted.err


def test_a_refusal_names_the_rate_and_both_ways_on(call: Call) -> None:
    refused = call("learn", "--camera", f"{LINE}&frames=30", *WEAK, "--frame-rate", "2")
    assert refused.status == 3
    # 15 frames prove 1 - 0.05^(1/15) with 95 % confidence; 29 are needed.
    for value in ("15 frames", "18.1", "10 %", "29", "14 more", "--accept-weaker", "2 frames a s"):
        assert value in refused.err, value


def test_images_are_learned_from_and_not_copied_for_good(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "normal"
    folder.mkdir()
    images = [*simulated(20), np.zeros((160, 192), np.uint8), *simulated(20, 20)]
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number:03}.png"), image)
    result = call("learn", "--images", folder, *WEAK, *QUICK, "--accept-weaker")
    assert result.status == 0, result.err
    assert "Left out 1 frames" in result.err
    assert "020.png is dark" in result.err
    assert not (tmp_path / "fibre.frames").exists()


def test_a_stain_alarms_where_the_material_was_learned_in_colour(
    call: Call, tmp_path: Path
) -> None:
    normal, new = tmp_path / "normal", tmp_path / "new"
    for folder in (normal, new):
        folder.mkdir()
    for number, image in enumerate(simulated(50)):
        cv2.imwrite(str(normal / f"{number:02}.png"), in_colour(image))
    learned = call("learn", "--images", normal, *WEAK, *QUICK)
    assert learned.status == 0, learned.err
    picture = in_colour(simulated(1, 900)[0])
    stained = with_stain(picture, 40)
    cv2.imwrite(str(new / "stained.png"), stained)
    watched = call("watch", "--recipe", "fibre.recipe", "--camera", new, "--pictures", "pictures")
    assert "ALARM" in watched.err
    (kept,) = (tmp_path / "pictures").rglob("*-frame.png")
    np.testing.assert_array_equal(cv2.imread(str(kept)), stained)
    cv2.imwrite(str(new / "stained.png"), to_gray(picture))
    watched = call("watch", "--recipe", "fibre.recipe", "--camera", new)
    assert "stained.png has no colours, and the detector learned colours" in watched.err


def test_groups_stay_together(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "normal"
    folder.mkdir()
    for number, image in enumerate(simulated(40)):
        cv2.imwrite(str(folder / f"roll{number // 4:02}_{number % 4}.png"), image)
    group = ("--group-by", "^(roll[0-9]+)")
    result = call("learn", "--images", folder, *WEAK, *QUICK, *group, "--accept-weaker", "--json")
    assert result.status == 0, result.err
    document = json.loads(result.out)
    assert document["fit_frames"] % 4 == 0
    assert "groups" in document["guarantee"]


def test_fields_count_one_by_one(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "normal"
    folder.mkdir()
    for number, image in enumerate(simulated(6, 0, (320, 384))):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    result = call(
        *("learn", "--images", folder, *WEAK, "--fields", "96x80", "--fit-frames", "4"),
        *("--option", "even-light=on", "--json"),
    )
    assert result.status == 0, result.err
    assert json.loads(result.out)["calibration_frames"] == 2
    assert "32 independent 96x80 px fields" in json.loads(result.out)["guarantee"]


@pytest.mark.parametrize(
    ("arguments", "status", "named"),
    [
        (("--camera", LINE, "--images", "x"), 2, "--camera SOURCE or --images PATH"),
        ((), 2, "--camera SOURCE or --images PATH"),
        (("--images", "absent"), 1, "absent"),
        (("--camera", LINE, "--option", "position=maybe"), 1, "maybe"),
        (("--camera", LINE, "--out", "fibre.zip"), 2, "fibre.zip"),
        (("--camera", LINE, "--group-every-s", "5"), 2, "--group-by"),
        (("--camera", LINE, "--frames", "1"), 2, "1"),
        (("--camera", LINE, "--name", "no way"), 1, "no way"),
    ],
)
def test_bad_input_gets_a_sentence_and_leaves_nothing(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], status: int, named: str
) -> None:
    result = call("learn", *WEAK, *arguments)
    assert result.status == status, result.err
    assert named in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_that_exists_is_kept(call: Call, tmp_path: Path) -> None:
    (tmp_path / "fibre.recipe").write_bytes(b"old")
    kept = call("learn", "--camera", f"{LINE}&frames=50", *WEAK)
    assert kept.status == 1
    assert "--replace" in kept.err
    assert (tmp_path / "fibre.recipe").read_bytes() == b"old"
    replaced = call("learn", "--camera", f"{LINE}&frames=50", *WEAK, *QUICK, "--replace")
    assert replaced.status == 0, replaced.err
    assert read_recipe(tmp_path / "fibre.recipe").manifest.version == 1


class TestCollect:
    def test_frames_of_a_camera_are_collected(self, call: Call, tmp_path: Path) -> None:
        result = call("collect", "--camera", LINE, "--frames", "5", "--out", "good")
        assert result.status == 0, result.err
        assert "good has 5 frames of sim:11" in result.err
        first = cv2.imread(str(tmp_path / "good" / "000000.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(first, simulated(1)[0])

    def test_it_goes_on_where_it_was(self, call: Call) -> None:
        call("collect", "--camera", LINE, "--frames", "3", "--out", "good")
        result = call("collect", "--camera", LINE, "--frames", "5", "--out", "good")
        assert "5 frames" in result.err

    def test_a_camera_without_an_end_needs_one(self, call: Call, tmp_path: Path) -> None:
        result = call("collect", "--camera", LINE, "--out", "good")
        assert result.status == 2
        assert "--frames N or --minutes M" in result.err
        assert list(tmp_path.iterdir()) == []

    def test_only_changed_frames(self, call: Call, tmp_path: Path) -> None:
        folder = tmp_path / "source"
        folder.mkdir()
        for number in range(4):
            cv2.imwrite(str(folder / f"{number}.png"), simulated(4)[number // 2])
        result = call("collect", "--camera", folder, "--changed", "--out", "good")
        assert result.status == 0
        assert "Left out 2" in result.err
        assert "has 2 frames" in result.err


def test_learning_needs_no_tensorflow(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    result = call("learn", "--camera", f"{LINE}&frames=50", *WEAK, *QUICK)
    assert result.status == 0, result.err

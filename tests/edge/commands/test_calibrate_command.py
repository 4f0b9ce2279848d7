"""`semedge calibrate` on folders of image files, as a user runs it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from constant_detector import image_of, write_detector

from semedge.cli import main
from semedge_calibration import Calibration


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    status: int
    stdout: str
    stderr: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_calibrate(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["semedge", "calibrate", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(int(ended.value.code or 0), *capsys.readouterr())

    return run_calibrate


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Sixty normal frames, two of each of thirty scenes."""
    folder = tmp_path / "normal"
    folder.mkdir()
    for seed in range(60):
        cv2.imwrite(str(folder / f"scene{seed // 2:02}_{seed % 2}.png"), image_of(seed))
    return folder


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return write_detector(tmp_path / "d.semedge", [image_of(1000)])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "calibration.json"


def test_writes_a_calibration_and_reports_its_guarantee(
    run: Run, detector: Path, images: Path, out: Path
) -> None:
    outcome = run(
        "--detector", detector, "--images", images, "--false-alarm-rate", 0.05, "--out", out
    )
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout == ""
    calibration = Calibration.from_json(out.read_text())
    assert (calibration.groups, calibration.rank) == (60, 1)
    assert calibration.guarantee in outcome.stderr
    assert "59 independent frames" in outcome.stderr
    assert "180 false alarms an hour" in outcome.stderr
    assert f"Threshold {calibration.threshold:.6g}" in outcome.stderr


def test_json_is_one_document_equal_to_the_file(
    run: Run, detector: Path, images: Path, out: Path
) -> None:
    outcome = run(
        *("--detector", detector, "--images", images, "--out", out),
        *("--method", "conformal", "--false-alarm-rate", 0.1, "--json"),
    )
    assert outcome.status == 0, outcome.stderr
    assert json.loads(outcome.stdout) == {"path": str(out), **json.loads(out.read_text())}


def test_refusal_ends_with_3_and_writes_nothing(
    run: Run, detector: Path, images: Path, out: Path
) -> None:
    outcome = run("--detector", detector, "--images", images, "--out", out, "--json")
    assert outcome.status == 3
    assert outcome.stdout == ""
    assert re.search(r"\b299 independent .* 60, .* 4\.9 %", outcome.stderr)
    assert not out.exists()


def test_training_frames_end_with_3_unless_allowed(
    run: Run, tmp_path: Path, images: Path, out: Path
) -> None:
    trained = write_detector(tmp_path / "trained.semedge", [image_of(0)])
    arguments = ("--detector", trained, "--images", images, "--false-alarm-rate", 0.1, "--out", out)
    outcome = run(*arguments)
    assert outcome.status == 3
    assert "scene00_0.png" in outcome.stderr
    assert not out.exists()
    allowed = run(*arguments, "--allow-training-frames")
    assert allowed.status == 0
    assert "Warning: 1 frame " in allowed.stderr
    assert "trained on" in Calibration.from_json(out.read_text()).warnings[0]


def test_groups_by_file_name(run: Run, detector: Path, images: Path, out: Path) -> None:
    outcome = run(
        *("--detector", detector, "--images", images, "--out", out),
        *("--group-by", r"^(scene\d+)_", "--false-alarm-rate", 0.1),
    )
    assert outcome.status == 0, outcome.stderr
    calibration = Calibration.from_json(out.read_text())
    assert (calibration.groups, calibration.frames) == (30, 60)


def test_alarms_an_hour_count_the_frames_of_the_largest_groups(
    run: Run, detector: Path, images: Path, out: Path
) -> None:
    arguments = ("--detector", detector, "--images", images, "--out", out)
    equal = run(*arguments, "--group-by", r"^(scene\d+)_", "--false-alarm-rate", 0.1)
    assert "at most 360 false alarms an hour, 8,640 a day." in equal.stderr
    assert Calibration.from_json(out.read_text()).largest_group is None
    # One group of two frames, and 58 of one.
    unequal = run(*arguments, "--group-by", r"^(scene00|scene\d+_\d)", "--false-alarm-rate", 0.1)
    assert "at most 708 false alarms an hour, 16,992 a day, should the largest" in unequal.stderr
    assert "1.97 times" in unequal.stderr
    largest = Calibration.from_json(out.read_text()).largest_group
    assert largest == pytest.approx(2 * 59 / 60)


def test_fields(run: Run, detector: Path, images: Path, out: Path) -> None:
    outcome = run(
        *("--detector", detector, "--images", images, "--out", out),
        *("--fields", "8x8", "--false-alarm-rate", 0.02),
    )
    assert outcome.status == 0, outcome.stderr
    assert Calibration.from_json(out.read_text()).groups == 240
    assert "assuming that the fields of a frame" in outcome.stderr
    assert "At 1 field a second" in outcome.stderr


def test_a_folder_as_camera_gives_the_first_frames(
    run: Run, detector: Path, images: Path, out: Path
) -> None:
    outcome = run(
        *("--detector", detector, "--camera", images, "--frames", 40, "--out", out),
        *("--false-alarms-per-day", 86_400, "--frame-rate", 10, "--stride", 2, "--workers", 1),
    )
    assert outcome.status == 0, outcome.stderr
    calibration = Calibration.from_json(out.read_text())
    assert (calibration.frames, calibration.false_alarm_rate) == (40, 0.1)
    assert calibration.grid.stride_px == 2
    assert "3,600 false alarms an hour, 86,400 a day" in outcome.stderr


def test_time_blocks_of_a_simulated_camera(run: Run, detector: Path, out: Path) -> None:
    outcome = run(
        *("--detector", detector, "--camera", "sim:3?rate=50&size=32x32", "--frames", 60),
        *("--group-every-s", 0.1, "--false-alarm-rate", 0.5, "--stride", 8, "--out", out),
    )
    assert outcome.status == 0, outcome.stderr
    calibration = Calibration.from_json(out.read_text())
    assert calibration.frames == 60
    assert 12 <= calibration.groups <= 60
    assert calibration.group_every_s == 0.1


def test_files_that_are_no_images_are_named_and_left_out(
    run: Run, detector: Path, images: Path, out: Path
) -> None:
    (images / "broken.png").write_bytes(b"not a picture")
    outcome = run(
        "--detector", detector, "--images", images, "--false-alarm-rate", 0.05, "--out", out
    )
    assert outcome.status == 0, outcome.stderr
    (warning,) = Calibration.from_json(out.read_text()).warnings
    assert re.search(r"\b1 .*broken\.png", warning)
    assert f"Warning: {warning}.\n" in outcome.stderr
    assert ".." not in warning


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ([], "--images PATH, or --camera SOURCE --frames N"),
        (["--images", "a", "--camera", "b"], "--images PATH, or --camera"),
        (["--images", "a", "--frames", "3"], "--frames needs --camera"),
        (["--camera", "0"], "--camera needs --frames"),
        (["--camera", "0", "--frames", "0"], "--frames"),
        (["--images", "a", "--group-by", "("], "Received: '('"),
        (["--images", "a", "--group-by", ""], "--group-by"),
        (["--images", "a", "--group-every-s", "3"], "--group-every-s needs --camera"),
        (
            ["--camera", "a", "--frames", "3", "--group-every-s", "3", "--group-by", "x"],
            "--group-by or --group-every-s",
        ),
        (["--images", "a", "--group-every-s", "nan"], "Received: nan"),
        (["--images", "a", "--fields", "12"], "WIDTHxHEIGHT"),
        (["--images", "a", "--fields", "8x8", "--frame-rate", "3"], "--frame-rate or --fields"),
        (["--images", "sim:1"], "--camera sim:1 --frames N"),
        (["--camera", ".", "--frames", "3", "--group-every-s", "3"], "use --group-by"),
        (["--images", "a", "--false-alarm-rate", "0"], "such as 0.01. Received: 0.0"),
        (["--images", "a", "--false-alarm-rate", "nan"], "Received: nan"),
        (["--images", "a", "--confidence", "95"], "Received: 95.0"),
        (["--images", "a", "--method", "pot"], "--method"),
        (["--images", "a", "--false-alarms-per-day", "3"], "--frame-rate"),
        (
            ["--images", "a", "--false-alarms-per-day", "99999", "--frame-rate", "1"],
            "86,400. Received: 99999",
        ),
        (
            ["--images", "a", "--false-alarms-per-day", "3", "--false-alarm-rate", "0.1"],
            "--false-alarm-rate or --false-alarms-per-day",
        ),
    ],
)
def test_wrong_usage_ends_with_2(
    run: Run,
    detector: Path,
    images: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    values: str,
) -> None:
    monkeypatch.chdir(images)
    outcome = run(*arguments, "--detector", detector, "--out", out)
    assert outcome.status == 2
    assert values in " ".join(outcome.stderr.split())
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "value", "values"),
    [
        ("--detector", "absent.semedge", "absent.semedge "),
        ("--images", "absent", "absent"),
        ("--group-by", "^sample", "'^sample'"),
        ("--fields", "64x64", "64x64 px "),
        ("--fields", "4x4", "4x4 px "),
        ("--stride", "9", "Received: 9"),
        ("--false-alarm-rate", "1e-13", "1e-13"),
    ],
)
def test_what_cannot_be_done_ends_with_1_in_one_sentence(
    run: Run, detector: Path, images: Path, out: Path, name: str, value: str, values: str
) -> None:
    arguments = {"--detector": detector, "--images": images, "--out": out, name: value}
    outcome = run(*(item for pair in arguments.items() for item in pair))
    assert outcome.status == 1
    error = outcome.stderr.splitlines()[-1]
    assert error.startswith("Error: ")
    assert values in error
    assert not out.exists()

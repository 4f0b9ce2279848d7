"""Calibration of a detector: what is scored, counted, refused and recorded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from constant_detector import PATCH_PX, SIZE_PX, image_of, write_detector

from semedge.core.errors import RefusedError, SemedgeError
from semedge.core.frame import Frame
from semedge.decision.calibrate import calibrate_detector
from semedge.decision.calibration_file import load_calibration, save_calibration
from semedge.decision.calibration_request import CalibrationRequest
from semedge.inference.detector import Detector
from semedge_calibration import Calibration


def shown(
    count: int, *, every_s: float = 1.0, name: Callable[[int], str] = "f{:03}.png".format
) -> list[Frame]:
    return [
        Frame(image_of(seed), seed, 100.0 + seed * every_s, f"line/{name(seed)}")
        for seed in range(count)
    ]


@pytest.fixture
def detector_path(tmp_path: Path) -> Path:
    return write_detector(tmp_path / "d.semedge", [image_of(3), image_of(5)])


@pytest.fixture
def detector(detector_path: Path) -> Iterator[Detector]:
    with Detector.load(detector_path, workers=1) as loaded:
        yield loaded


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Detector]:
    """A detector that was trained on none of the frames below."""
    with Detector.load(write_detector(tmp_path / "fresh.semedge", []), workers=1) as loaded:
        yield loaded


LOOSE = CalibrationRequest(false_alarm_rate=0.1)


def test_threshold_is_a_normal_score_of_the_deployed_detector(fresh: Detector) -> None:
    frames = shown(80)
    calibration = calibrate_detector(fresh, frames, LOOSE)
    scores = sorted((fresh.score(frame).frame_score for frame in frames), reverse=True)
    assert calibration.threshold == scores[calibration.rank - 1]
    assert (calibration.rank, calibration.groups, calibration.frames) == (4, 80, 80)
    assert calibration.detector_sha256 == fresh.bundle.sha256
    assert (calibration.grid.patch_px, calibration.grid.stride_px) == (PATCH_PX, 4)
    assert calibration.grid.frame_shape == (SIZE_PX, SIZE_PX)
    assert (calibration.quantiles["0"], calibration.quantiles["1"]) == (scores[-1], scores[0])
    assert re.search(
        "95 % .* 10 % of normal frames .* 80 independent frames", calibration.guarantee
    )
    assert calibration.warnings == ()
    assert Calibration.from_json(calibration.to_json()) == calibration


def test_too_few_frames_are_refused_with_what_they_prove(fresh: Detector) -> None:
    with pytest.raises(RefusedError, match=r"\b299\b.*\b40\b.*\b7\.2 %"):
        calibrate_detector(fresh, shown(40), CalibrationRequest())


def test_a_refusal_names_what_was_left_out(fresh: Detector) -> None:
    frames = shown(5)
    frames.append(frames[0])
    skipped = ["bad.png: not an image."]
    with pytest.raises(RefusedError, match=r"\b299\b.*there are 5,") as refusal:
        calibrate_detector(fresh, frames, CalibrationRequest(), skipped)
    assert "line/f000.png; " in str(refusal.value)
    assert "bad.png: not an image)." in str(refusal.value)


def test_training_frames_are_refused_and_named(detector: Detector) -> None:
    with pytest.raises(RefusedError) as refusal:
        calibrate_detector(detector, shown(40), LOOSE)
    assert "(line/f003.png, line/f005.png)" in str(refusal.value)
    assert "--allow-training-frames" in str(refusal.value)


def test_allowed_training_frames_are_recorded(detector: Detector) -> None:
    request = replace(LOOSE, allow_training_frames=True)
    (warning,) = calibrate_detector(detector, shown(40), request).warnings
    assert warning.startswith("2 frames ")
    assert "(line/f003.png, line/f005.png)" in warning


def test_training_frames_are_known_by_their_pixels_whatever_their_name(
    detector: Detector,
) -> None:
    frames = [Frame(image_of(3), 0, 0.0, "renamed.png")]
    with pytest.raises(RefusedError, match=r"\b1 frame .*renamed\.png"):
        calibrate_detector(detector, frames, LOOSE)


def test_copies_count_once(fresh: Detector) -> None:
    frames = shown(40)
    frames.extend(replace(frame, source=f"copy of {frame.source}") for frame in shown(5))
    calibration = calibrate_detector(fresh, frames, LOOSE)
    assert calibration.groups == 40
    (warning,) = calibration.warnings
    assert re.search(r"\b5 copies .*line/f000\.png, .*line/f002\.png and 2 more", warning)


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"^(\d+)_", 40),
        (r"^\d+", 40),
        (r"^(\d+)_(\d)", 40),
        (r"\.png$", 1),
        (r"^.*$", 80),
    ],
)
def test_group_by_counts_groups(fresh: Detector, pattern: str, groups: int) -> None:
    frames = shown(80, name=lambda seed: f"{seed // 2:03}_{seed % 2}.png")
    request = CalibrationRequest(
        false_alarm_rate=0.6, method="conformal", group_by=re.compile(pattern)
    )
    calibration = calibrate_detector(fresh, frames, request)
    assert calibration.groups == groups
    assert calibration.frames == 80
    assert calibration.group_by == pattern
    assert f"{groups:,} independent groups of frames" in calibration.guarantee


def test_a_groups_score_is_its_largest(fresh: Detector) -> None:
    frames = shown(80, name=lambda seed: f"{seed // 2:03}_{seed % 2}.png")
    request = replace(LOOSE, group_by=re.compile(r"^(\d+)"))
    calibration = calibrate_detector(fresh, frames, request)
    scores = np.array([fresh.score(frame).frame_score for frame in frames])
    maxima = scores.reshape(40, 2).max(axis=1)
    assert calibration.threshold == np.sort(maxima)[-calibration.rank]


@pytest.mark.parametrize("pattern", [r"^scene(\d+)", r"f\d+(x)?"])
def test_a_name_without_group_is_an_error(fresh: Detector, pattern: str) -> None:
    request = replace(LOOSE, group_by=re.compile(pattern))
    with pytest.raises(SemedgeError, match=r"f000\.png .*--group-by") as error:
        calibrate_detector(fresh, shown(40), request)
    assert not isinstance(error.value, RefusedError)


def test_time_blocks_count_once(fresh: Detector) -> None:
    request = replace(LOOSE, group_every_s=2.0)
    calibration = calibrate_detector(fresh, shown(160, every_s=0.5), request)
    assert (calibration.groups, calibration.group_every_s) == (40, 2.0)


def drifting(count: int) -> list[Frame]:
    """Frames that brighten slowly, each a little different."""
    frames = shown(count)
    return [
        replace(frame, image=(frame.image // 8 + frame.sequence).astype(np.uint8))
        for frame in frames
    ]


def test_correlated_scores_warn_unless_grouped(fresh: Detector) -> None:
    (warning,) = calibrate_detector(fresh, drifting(80), LOOSE).warnings
    assert "consecutive scores are correlated" in warning
    grouped = replace(LOOSE, group_every_s=2.0)
    assert calibrate_detector(fresh, drifting(80), grouped).warnings == ()


def test_fields_are_scored_as_frames(fresh: Detector) -> None:
    frames = [
        Frame(image_of(seed, size_px=36), seed, float(seed), f"{seed}.png") for seed in range(10)
    ]
    calibration = calibrate_detector(fresh, frames, replace(LOOSE, fields=(16, 12)))
    scores = [
        fresh.score(replace(frame, image=frame.image[top : top + 12, left : left + 16])).frame_score
        for frame in frames
        for top in (0, 12, 24)
        for left in (0, 16)
    ]
    assert calibration.threshold == sorted(scores, reverse=True)[calibration.rank - 1]
    assert (calibration.groups, calibration.frames) == (60, 10)
    assert calibration.fields == calibration.grid.frame_shape == (12, 16)
    assert re.search(
        "95 % .*10 % of normal 16x12 px fields .* 60 independent 16x12 px fields.* assuming ",
        calibration.guarantee,
    )
    (warning,) = calibration.warnings
    assert re.search(r"\b6 fields .* 6 times ", warning)


def test_fields_of_frames_that_differ_in_brightness_are_not_independent(fresh: Detector) -> None:
    images = [image_of(seed, size_px=36) // 8 + 20 * seed for seed in range(10)]
    frames = [
        Frame(image.astype(np.uint8), seed, float(seed), f"{seed}.png")
        for seed, image in enumerate(images)
    ]
    correlated, _ = calibrate_detector(fresh, frames, replace(LOOSE, fields=(12, 12))).warnings
    assert correlated.startswith("consecutive scores are correlated")
    assert "the fields are not independent" in correlated


def test_frames_of_several_sizes_are_an_error(fresh: Detector) -> None:
    frames = shown(40)
    frames.append(Frame(image_of(99, size_px=20), 40, 0.0, "other.png"))
    with pytest.raises(SemedgeError, match=r"other\.png .*20x20 px .*16x16 px"):
        calibrate_detector(fresh, frames, LOOSE)


def test_a_score_that_is_infinite_is_an_error(tmp_path: Path) -> None:
    path = write_detector(tmp_path / "overflow.semedge", [], reference=3e38)
    with (
        np.errstate(over="ignore"),
        Detector.load(path, workers=1) as broken,
        pytest.raises(SemedgeError, match=r"overflow\.semedge .*line/f000\.png .*im1"),
    ):
        calibrate_detector(broken, shown(40), LOOSE)


def test_no_frame_is_an_error(fresh: Detector) -> None:
    with pytest.raises(SemedgeError, match=r"normal frame .*folder or a camera"):
        calibrate_detector(fresh, [], LOOSE)


@pytest.mark.parametrize(
    ("request_", "received"),
    [(replace(LOOSE, confidence=1.0), r"1\.0"), (replace(LOOSE, method="pot"), "'pot'")],
)
def test_a_wrong_request_is_an_error(fresh: Detector, request_, received: str) -> None:
    with pytest.raises(SemedgeError, match=f"Received: {received}"):
        calibrate_detector(fresh, shown(40), request_)


@pytest.fixture
def saved(tmp_path: Path, fresh: Detector) -> Path:
    path = tmp_path / "saved.json"
    save_calibration(path, calibrate_detector(fresh, shown(40), LOOSE))
    return path


def test_load_gives_back_what_was_saved(saved: Path, fresh: Detector) -> None:
    assert load_calibration(saved, fresh).to_json() == saved.read_text()


def test_load_refuses_another_detector(saved: Path, detector: Detector) -> None:
    with pytest.raises(SemedgeError, match=rf"{saved} .*`semedge calibrate`") as error:
        load_calibration(saved, detector)
    assert detector.bundle.sha256[:12] in str(error.value)


def test_load_refuses_another_stride(saved: Path, fresh: Detector) -> None:
    with (
        Detector(fresh.bundle, stride_px=2, workers=1) as finer,
        pytest.raises(SemedgeError, match=r"stride 4\b.*\b2;"),
    ):
        load_calibration(saved, finer)


def test_load_refuses_another_score(saved: Path, fresh: Detector) -> None:
    saved.write_text(saved.read_text().replace('"im1"', '"im2"'))
    with pytest.raises(SemedgeError, match=r"score im2\b.*\bim1;"):
        load_calibration(saved, fresh)


def test_load_refuses_another_runtime(saved: Path, fresh: Detector) -> None:
    saved.write_text(saved.read_text().replace(f'"{fresh.runtime}"', '"another"'))
    with pytest.raises(SemedgeError, match=rf"runtime another\b.* {re.escape(fresh.runtime)};"):
        load_calibration(saved, fresh)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "JSON"),
        (b"{}", r"\bformat_version\b"),
        (b"\xff\xfe", "UTF-8"),
        (b" " * (2**20 + 1), "too large"),
    ],
)
def test_load_refuses_a_damaged_file(
    tmp_path: Path, fresh: Detector, content: bytes, reason: str
) -> None:
    path = tmp_path / "damaged.json"
    path.write_bytes(content)
    with pytest.raises(SemedgeError, match=reason) as error:
        load_calibration(path, fresh)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["absent.json", "."])
def test_load_names_a_file_that_cannot_be_read(tmp_path: Path, fresh: Detector, name: str) -> None:
    with pytest.raises(SemedgeError, match=rf"{tmp_path / name} .*\(.*directory\)"):
        load_calibration(tmp_path / name, fresh)

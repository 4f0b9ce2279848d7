"""Pictures that no inspection can be based on: each a problem with a start and an end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from semedge.cameras.simulation import SimulatedLine
from semedge.core.frame import Frame, GrayImage
from semedge.decision.appearance import common_appearance, measure_frame
from semedge.decision.health import CameraHealth, HealthChange, HealthSettings, Problem

LINE = SimulatedLine(11, shape=(192, 256))
DEFECTS = SimulatedLine(12, shape=(192, 256), defect_rate=1.0)
NORMAL = common_appearance(measure_frame(Frame(LINE.frame(n).image, n, 0.0, "")) for n in range(20))
GRAY_DEVIATION = 0.29
PERIOD_S = 0.5

Change = Callable[[GrayImage], GrayImage]


def dark(image: GrayImage) -> GrayImage:
    return (image // 40).astype(image.dtype)


def saturated(image: GrayImage) -> GrayImage:
    full = np.iinfo(image.dtype).max
    return np.clip(image.astype(np.float64) * 4, 0, full).astype(image.dtype)


def blurred(image: GrayImage) -> GrayImage:
    return cv2.GaussianBlur(image, (0, 0), 3.0)


def darker(image: GrayImage) -> GrayImage:
    return (image * 0.45).astype(image.dtype)


def brighter(image: GrayImage) -> GrayImage:
    return (image * 0.35 + 0.6 * np.iinfo(image.dtype).max).astype(image.dtype)


def deep(image: GrayImage) -> GrayImage:
    """The same in 16 bits."""
    return image.astype(np.uint16) * 257


class Bench:
    """A health that is fed pictures at a steady pace."""

    def __init__(self, *, live: bool = True, **settings: object) -> None:
        self.health = CameraHealth(HealthSettings(**settings), NORMAL, GRAY_DEVIATION, live=live)
        self.number = 100
        self.at_s = 1000.0
        self.fit: list[bool] = []
        self.changes: list[HealthChange] = []

    def show(self, images: Iterable[GrayImage]) -> list[tuple[str, Problem]]:
        """The changes that the pictures bring."""
        changes: list[HealthChange] = []
        self.fit = []
        for image in images:
            self.at_s += PERIOD_S
            seen = self.health.observe(Frame(image, self.number, 0.0, "test"), self.at_s)
            self.fit.append(not seen.reason)
            changes += seen.changes
        self.changes += changes
        return [(change.phase, change.problem) for change in changes]

    def normal(self, count: int) -> list[GrayImage]:
        self.number += count
        return [LINE.frame(self.number + at).image for at in range(count)]


@pytest.mark.parametrize("depth", [lambda image: image, deep], ids=["8-bit", "16-bit"])
def test_normal_frames_and_defects_are_no_problem(depth: Change) -> None:
    bench = Bench()
    assert bench.show(map(depth, bench.normal(30))) == []
    assert bench.show(depth(DEFECTS.frame(n).image) for n in range(30)) == []
    assert all(bench.fit)


@pytest.mark.parametrize("depth", [lambda image: image, deep], ids=["8-bit", "16-bit"])
@pytest.mark.parametrize(
    ("spoil", "problem", "fit", "values"),
    [
        (dark, "dark", [False] * 3, r"\bdark\b.*99 % .* 0\.0"),
        (saturated, "saturated", [False] * 3, r"\d% .*\bwhite\b.* 2\d?%"),
        (blurred, "out-of-focus", [True, True, False], r"\bfocus\b.* 0\.0"),
        (darker, "brightness", [True, True, False], r"\bdarker\b.*\bmean gray\b.* 0\.1.* 0\.2"),
        (brighter, "brightness", [True, True, False], r"\bbrighter\b.*\bmean gray\b.* 0\."),
    ],
)
def test_a_problem_starts_and_ends_once(
    depth: Change, spoil: Change, problem: Problem, fit: list[bool], values: str
) -> None:
    bench = Bench()
    bench.show(map(depth, bench.normal(2)))
    assert bench.show(depth(spoil(image)) for image in bench.normal(3)) == [("start", problem)]
    assert bench.fit == fit
    assert bench.show(depth(spoil(image)) for image in bench.normal(10)) == []
    assert not any(bench.fit)
    assert [change.problem for change in bench.health.problems] == [problem]
    assert bench.show(map(depth, bench.normal(5))) == [("end", problem)]
    assert bench.fit == [False, False, True, True, True]
    start, end = bench.changes
    assert start.message.endswith(".")
    assert re.search(values, start.message), start.message
    assert end.message.endswith(f"after {end.at_s - start.started_s:.1f} s.")
    assert end.started_s == start.started_s
    assert start.details["limit" if "limit" in start.details else "low"] > 0


def test_a_single_bad_picture_starts_nothing_but_a_dark_one_is_not_inspected() -> None:
    bench = Bench()
    for spoil, fit in ((dark, False), (saturated, False), (blurred, True), (darker, True)):
        for _ in range(5):
            assert bench.show([spoil(bench.normal(1)[0])]) == []
            assert bench.fit == [fit]
            assert bench.show(bench.normal(1)) == []
            assert bench.fit == [True]


def test_a_picture_at_the_limit_does_not_flap() -> None:
    """Sharpness that swings by 4 % around the limit: one start, and no end."""
    bench = Bench()
    limit = 0.6 * NORMAL.lowest_sharpness
    image = LINE.frame(500).image

    def of_sharpness(wanted: float) -> GrayImage:
        sigmas = np.linspace(0.3, 4, 75)
        blurs = [cv2.GaussianBlur(image, (0, 0), sigma) for sigma in sigmas]
        return min(blurs, key=lambda b: abs(measure_frame(Frame(b, 0, 0.0, "")).sharpness - wanted))

    below, above = of_sharpness(0.96 * limit), of_sharpness(1.04 * limit)
    assert bench.show([below, below, below, *[above] * 6, *[below, above] * 6]) == [
        ("start", "out-of-focus")
    ]


def test_a_frozen_picture_is_reported_after_its_time() -> None:
    bench = Bench(frozen_after_s=5.0)
    (image,) = bench.normal(1)
    assert bench.show([image] * 11) == []
    assert all(bench.fit)
    assert bench.show([image] * 4) == [("start", "frozen")]
    assert not bench.fit[-1]
    assert " 6.5 s;" in bench.changes[-1].message
    # A change too small to be the sensor's noise is none.
    nearly = image.copy()
    nearly[0, 0] ^= 1
    assert bench.show([nearly] * 4) == []
    assert bench.show(bench.normal(3)) == [("end", "frozen")]


def test_files_may_repeat_a_picture() -> None:
    bench = Bench(live=False)
    (image,) = bench.normal(1)
    assert bench.show([image] * 50) == []


def test_a_new_frame_size_is_a_new_picture() -> None:
    bench = Bench(frozen_after_s=1.0)
    (image,) = bench.normal(1)
    small = np.ascontiguousarray(image[:100, :100])
    assert bench.show([image, image, small, small, image, image]) == []


def test_a_missing_frame_is_a_problem_until_frames_come_again() -> None:
    bench = Bench()
    bench.show(bench.normal(1))
    sentence = "The camera x gave no frame for 4 s; it is being reconnected."
    (start,) = bench.health.no_frame(sentence, bench.at_s + 4)
    assert (start.phase, start.problem, start.message) == ("start", "no-frame", sentence)
    assert bench.health.no_frame(sentence, bench.at_s + 8) == ()
    bench.at_s += 60
    assert bench.show(bench.normal(3)) == [("end", "no-frame")]
    assert bench.fit == [True, True, True]
    assert bench.changes[-1].message.endswith(" 57.5 s.")


def test_a_camera_that_gives_a_frame_now_and_then_does_not_flap() -> None:
    bench = Bench()
    starts = 0
    for _ in range(5):
        bench.show(bench.normal(1))
        starts += len(bench.health.no_frame("No frame.", bench.at_s))
    assert starts == 1
    assert bench.changes == []


def test_inspection_can_go_on_during_a_problem() -> None:
    bench = Bench(inspect_during=("dark", "brightness"))
    assert bench.show(dark(image) for image in bench.normal(4)) == [("start", "dark")]
    assert all(bench.fit)
    assert not bench.changes[0].blocks_inspection


def test_closing_ends_every_problem() -> None:
    bench = Bench()
    bench.show(dark(image) for image in bench.normal(3))
    bench.health.no_frame("No frame.", bench.at_s)
    ended = bench.health.close("The watch ended", bench.at_s + 1)
    assert [(change.phase, change.problem) for change in ended] == [
        ("end", "dark"),
        ("end", "no-frame"),
    ]
    assert ended[0].message.endswith(" 1.0 s.")
    assert bench.health.close("The watch ended", bench.at_s + 2) == ()


def test_a_picture_without_contrast_is_handled() -> None:
    flat = np.full((192, 256), 130, np.uint8)
    assert measure_frame(Frame(flat, 0, 0.0, "")).sharpness == 0
    assert Bench(live=False).show([flat] * 3) == [("start", "out-of-focus")]


def test_large_frames_have_the_same_grays() -> None:
    image = cv2.resize(LINE.frame(1).image, (4096, 3072), interpolation=cv2.INTER_NEAREST)
    large, small = (
        measure_frame(Frame(image, 0, 0.0, "")),
        measure_frame(Frame(LINE.frame(1).image, 0, 0.0, "")),
    )
    assert large.mean_gray == pytest.approx(small.mean_gray, abs=0.01)
    assert large.bright_gray == pytest.approx(small.bright_gray, abs=0.03)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"frames_to_start": 0}, r"frames_to_start\n.* 1 .*input_value=0"),
        ({"inspect_during": ("dim",)}, r"inspect_during\.0\n.*'no-frame', .*input_value='dim'"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], values: str) -> None:
    with pytest.raises(ValidationError, match=values):
        HealthSettings(**settings)  # type: ignore[arg-type]

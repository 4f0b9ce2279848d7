"""Frames above a level become one defect with a start, updates and an end."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from semedge.core.errors import SemedgeError
from semedge.decision.defect import DecisionSettings, Defect, DefectTracker, Judgement, Levels

LEVELS = Levels(alarm=10.0, warn=5.0)


def reported(
    scores: list[float], levels: Levels = LEVELS, step_s: float = 1.0, **settings: float
) -> list[str]:
    """What is reported of the frames: their numbers, phases and levels."""
    tracker = DefectTracker(levels, DecisionSettings(**settings))  # type: ignore[arg-type]
    lines = []
    for number, score in enumerate(scores):
        judgement = tracker.judge(score, number * step_s)
        for phase in judgement.phases:
            assert judgement.defect is not None
            lines.append(f"{number} {phase} {judgement.defect.level}")
    return lines


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (4.0, None),
        (5.0, None),
        (5.1, "warn"),
        (10.0, "warn"),
        (10.1, "alarm"),
        (math.inf, "alarm"),
        (math.nan, "alarm"),
    ],
)
def test_a_frame_has_the_highest_level_that_its_score_exceeds(
    score: float, level: str | None
) -> None:
    assert LEVELS.level_of(score) == level


def test_without_a_warn_level_nothing_warns() -> None:
    levels = Levels(alarm=10.0)
    assert levels.level_of(9.0) is None
    assert levels.lowest == levels.of("warn") == 10.0
    assert (LEVELS.lowest, LEVELS.of("warn"), LEVELS.of("alarm")) == (5.0, 5.0, 10.0)


@pytest.mark.parametrize(("alarm", "warn"), [(math.nan, None), (math.inf, None), (5, 5), (5, 6)])
def test_impossible_levels_are_refused(alarm: float, warn: float | None) -> None:
    received = alarm if warn is None else warn
    with pytest.raises(SemedgeError, match=rf"Received: {received:g}"):
        Levels(alarm, warn)


def test_a_warn_level_that_is_nan_is_refused() -> None:
    with pytest.raises(SemedgeError, match=r"warn .*10\. Received: nan"):
        Levels(10.0, math.nan)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"frames_above": 0}, r"frames_above\n.*input_value=0"),
        ({"frames_above": 3, "of_frames": 2}, r"\bframes_above\b.*\bof_frames\b"),
        ({"end_after_frames": -1}, r"end_after_frames\n.*input_value=-1"),
        ({"cool_down_s": math.inf}, r"cool_down_s\n.*input_value=inf"),
        ({"update_every_s": math.nan}, r"update_every_s\n.*input_value=nan"),
        ({"warn": math.nan}, r"warn\n.*input_value=nan"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, values: str) -> None:
    with pytest.raises(ValidationError, match=values):
        DecisionSettings(**settings)


@pytest.mark.parametrize(
    ("scores", "settings", "expected"),
    [
        ([1, 2, 3], {}, []),
        ([1, 11, 1], {}, ["1 start alarm", "2 end alarm"]),
        (
            [1, 11, 12, 11, 1, 1, 11, 1],
            {},
            ["1 start alarm", "4 end alarm", "6 start alarm", "7 end alarm"],
        ),
        ([6, 11, 6, 1], {}, ["0 start warn", "1 update alarm", "3 end alarm"]),
        ([6, 7, 1], {"update_every_s": 0}, ["0 start warn", "1 update warn", "2 end warn"]),
        ([6, 7, 8, 9, 1], {"update_every_s": 2}, ["0 start warn", "2 update warn", "4 end warn"]),
        ([7, 6, 6, 1], {"update_every_s": 0}, ["0 start warn", "3 end warn"]),
        ([11, 1, 11, 1, 1], {"end_after_frames": 2}, ["0 start alarm", "4 end alarm"]),
        (
            [11, 1, 12],
            {"end_after_frames": 0},
            ["0 start alarm", "0 end alarm", "2 start alarm", "2 end alarm"],
        ),
        ([11, 1, 11, 11, 1], {"frames_above": 2, "of_frames": 2}, ["3 start alarm", "4 end alarm"]),
        ([11, 1, 11, 1, 1], {"frames_above": 2, "of_frames": 3}, ["2 start alarm", "3 end alarm"]),
        ([11, 6, 1], {"frames_above": 2, "of_frames": 3}, ["1 start warn", "2 end warn"]),
        (
            [6, 11, 11, 1],
            {"frames_above": 2, "of_frames": 3},
            ["1 start warn", "2 update alarm", "3 end alarm"],
        ),
        # After its end at 1 s the cool-down holds until 11 s.
        ([11, 1, 11, 1, 1], {"cool_down_s": 10}, ["0 start alarm", "1 end alarm"]),
        (
            [11, 1, *[1] * 9, 11, 1],
            {"cool_down_s": 10},
            ["0 start alarm", "1 end alarm", "11 start alarm", "12 end alarm"],
        ),
        (
            [6, 1, 6, 11, 1],
            {"cool_down_s": 10},
            ["0 start warn", "1 end warn", "3 start alarm", "4 end alarm"],
        ),
        (
            [11, math.nan, 1],
            {"update_every_s": 0},
            ["0 start alarm", "1 update alarm", "2 end alarm"],
        ),
    ],
)
def test_what_is_reported(scores: list[float], settings: dict, expected: list[str]) -> None:
    assert reported(scores, **settings) == expected


def test_a_defect_knows_its_frames_and_its_peak() -> None:
    tracker = DefectTracker(LEVELS, DecisionSettings(end_after_frames=2, update_every_s=0))
    judgements = [
        tracker.judge(score, float(at)) for at, score in enumerate([1, 6, 12, 1, 8, 1, 1])
    ]
    assert judgements[0] == Judgement(None)
    assert judgements[1] == Judgement("warn", ("start",), Defect(1.0, "warn", 1, 6), is_peak=True)
    assert judgements[2].defect == Defect(1.0, "alarm", 2, 12)
    assert judgements[2].is_peak
    assert judgements[4] == Judgement("warn", (), Defect(1.0, "alarm", 3, 12))
    assert judgements[6] == Judgement(None, ("end",), Defect(1.0, "alarm", 3, 12))
    assert tracker.defect is None


def test_a_start_counts_what_the_window_and_the_cool_down_saw() -> None:
    tracker = DefectTracker(LEVELS, DecisionSettings(frames_above=2, of_frames=3, cool_down_s=3))
    scores = [11, 11, 1, 11, 11, 1, 11, 11]
    defects = [tracker.judge(score, float(at)).defect for at, score in enumerate(scores)]
    assert defects[1] == Defect(1.0, "alarm", 2, 11)
    assert defects[6] == Defect(6.0, "alarm", 2, 11, suppressed=1)


def test_a_defect_in_progress_can_be_ended() -> None:
    tracker = DefectTracker(LEVELS, DecisionSettings())
    assert tracker.end() is None
    tracker.judge(11, 0.0)
    assert tracker.end() == Defect(0.0, "alarm", 1, 11)
    assert tracker.judge(11, 1.0).phases == ("start",)


def test_levels_can_move_between_two_frames() -> None:
    tracker = DefectTracker(LEVELS, DecisionSettings())
    assert tracker.judge(7, 0.0).level == "warn"
    tracker.levels = Levels(alarm=6.5)
    assert tracker.judge(7, 1.0).phases == ("update",)
    tracker.levels = Levels(alarm=20.0)
    assert tracker.judge(7, 2.0).phases == ("end",)


@given(
    scores=st.lists(st.floats(0, 15) | st.just(math.nan), max_size=60),
    of_frames=st.integers(1, 5),
    share=st.floats(0, 1),
    end_after=st.integers(0, 4),
    cool_down_s=st.sampled_from([0.0, 2.5]),
    update_every_s=st.sampled_from([0.0, 3.0]),
)
def test_every_start_has_one_end(
    scores: list[float],
    of_frames: int,
    share: float,
    end_after: int,
    cool_down_s: float,
    update_every_s: float,
) -> None:
    settings = DecisionSettings(
        frames_above=1 + round(share * (of_frames - 1)),
        of_frames=of_frames,
        end_after_frames=end_after,
        cool_down_s=cool_down_s,
        update_every_s=update_every_s,
    )
    tracker = DefectTracker(LEVELS, settings)
    in_progress = False
    for at, score in enumerate(scores):
        judgement = tracker.judge(score, float(at))
        assert judgement.level == LEVELS.level_of(score)
        for phase in judgement.phases:
            assert (phase == "start") != in_progress
            in_progress = phase != "end"
        assert (tracker.defect is not None) == in_progress
        assert not judgement.phases or judgement.defect is not None
    assert (tracker.end() is not None) == in_progress

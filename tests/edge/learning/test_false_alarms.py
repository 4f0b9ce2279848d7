"""False alarms among the frames that a detector is fitted to."""

from __future__ import annotations

import numpy as np
import pytest
from learned import SHAPE, simulated, with_blot

from semedge.core.frame import Frame
from semedge.inference.bundle import frame_sha256, parse_bundle
from semedge.inference.detector import Detector
from semedge.inference.grid import PatchGrid
from semedge.inference.score_map import ScoreMap
from semedge.learning.false_alarms import FalseAlarm, WithFalseAlarms, places_above
from semedge.learning.learn import Learned, learn
from semedge.learning.options import LearnOptions

OPTIONS = LearnOptions(position="off", even_light="on")
BLOTTED = [with_blot(image, side_px=60) for image in simulated(3, 100)]
MIDDLE = np.zeros((SHAPE[0] // 4, SHAPE[1] // 4), bool)
MIDDLE[12:28, 16:32] = True


def alarm_of(number: int) -> FalseAlarm:
    return FalseAlarm(f"alarm {number}", lambda: BLOTTED[number], MIDDLE)


@pytest.mark.parametrize(
    ("normal", "alarms", "places"),
    [(4, 0, []), (4, 1, [2]), (4, 2, [1, 4]), (1, 3, [0, 2, 3]), (10, 3, [2, 6, 10])],
)
def test_false_alarms_lie_evenly_among_the_others(
    normal: int, alarms: int, places: list[int]
) -> None:
    images = simulated(normal)
    mixed = WithFalseAlarms(images, [alarm_of(number) for number in range(alarms)])
    assert len(mixed) == len(list(mixed)) == normal + alarms
    assert sorted(mixed.alarms_at) == places
    rest = [at for at in range(len(mixed)) if at not in places]
    for index, at in enumerate(rest):
        assert mixed[at] is images[index]
    assert [mixed[at] is BLOTTED[number] for number, at in enumerate(places)] == [True] * alarms
    with pytest.raises(IndexError):
        mixed[normal + alarms]


def test_the_places_are_those_above_the_level_or_the_highest() -> None:
    grid = PatchGrid((64, 64), 8, 8)
    scores = np.arange(64, dtype=np.float32)
    above = places_above(ScoreMap(grid, scores, {}), 23.0)
    assert above.shape == (16, 16)
    assert not above[:6].any()
    assert above[6:].all()
    # Nothing is above this level, so the ten highest patches count.
    assert places_above(ScoreMap(grid, scores, {}), 1e9).sum() == 10 * 4


def frame_scores(learned: Learned) -> list[float]:
    with Detector(parse_bundle(learned.bundle_content, "the detector")) as detector:
        return [detector.score(Frame(image)).frame_score for image in BLOTTED]


def test_a_false_alarm_is_known_afterwards_and_never_left_out() -> None:
    normal = simulated(30)
    before = learn(normal, OPTIONS)
    # Among the normal frames it stands out, and is left out.
    assert learn([*normal[:17], BLOTTED[0], *normal[17:]], OPTIONS).outlying == (17,)
    after = learn(normal, OPTIONS, false_alarms=[alarm_of(number) for number in range(3)])
    assert after.outlying == ()
    assert after.false_alarms == ("alarm 0", "alarm 1", "alarm 2")
    assert after.manifest.training.options["false_alarms"] == "3"
    assert after.manifest.training.frames == 33
    digests = {frame_sha256(image) for image in BLOTTED}
    assert digests <= set(after.manifest.training.frame_sha256)
    assert "false_alarms" not in before.manifest.training.options
    assert max(frame_scores(after)) < 0.7 * min(frame_scores(before))


def test_there_are_never_more_of_them_than_other_frames() -> None:
    learned = learn(simulated(2), OPTIONS, false_alarms=[alarm_of(number) for number in range(3)])
    assert learned.false_alarms == ("alarm 0", "alarm 2")

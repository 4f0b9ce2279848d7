"""Nothing is learned from what is left out: neither models nor scores, defects nor thresholds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from learned import simulated
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.core.view import FrameView, ViewSettings
from semedge.decision.calibration_request import CalibrationRequest
from semedge.inference.network_input import FeatureInput
from semedge.learning.frame_store import LEFT_OUT, FrameStore
from semedge.learning.learn import learn
from semedge.learning.lesson import Lesson, LessonRequest, learn_lesson
from semedge.learning.options import LearnOptions
from semedge.learning.planting import KINDS, plant
from semedge.learning.regions import InspectedCells
from semedge.learning.screening import Screening

SHAPE = (224, 320)
CLOCK = (0, 0, 60, 24)
WITHOUT_CLOCK = FrameView(ViewSettings(leave_out_px=(CLOCK,)))
OPTIONS = LearnOptions(position="on", even_light="off")


def clocked(seed: int, count: int) -> list[NDArray[np.uint8]]:
    """Normal frames with something else in the place of the clock each time."""
    random = np.random.default_rng(seed)
    frames = [image.copy() for image in simulated(count, shape=SHAPE)]
    left, top, width, height = CLOCK
    for frame in frames:
        frame[top : top + height, left : left + width] = random.choice([0, 255], (height, width))
    return frames  # type: ignore[return-value]  # of 8 bits


def lesson_of(folder: Path, seed: int, view: FrameView) -> Lesson:
    store, screening = FrameStore(folder, "a folder"), Screening()
    for number, image in enumerate(clocked(seed, 24)):
        frame = view.show(Frame(image, number, float(number), f"frame {number}"))
        assert screening.takes(frame)
        store.add(frame)
    request = CalibrationRequest(0.2, method="conformal")
    return learn_lesson(store, LessonRequest(request, OPTIONS, fit_frames=12), screening)


def arrays_of(lesson: Lesson) -> dict[str, NDArray]:
    contents = lesson.learned.contents
    return {name: np.load(io.BytesIO(contents[name])) for name in contents if ".npy" in name}


def test_what_is_left_out_changes_nothing_that_is_learned(tmp_path: Path) -> None:
    one, other = (lesson_of(tmp_path / str(seed), seed, WITHOUT_CLOCK) for seed in (1, 2))
    arrays, others = arrays_of(one), arrays_of(other)
    assert len(arrays) > 10
    for name, array in arrays.items():
        # Maps are smoothed: a cell has the last thousandths of a Gaussian from beyond its reach.
        atol = 1e-4 if name.startswith(("border", "position")) else 0
        np.testing.assert_allclose(array, others[name], rtol=0, atol=atol, err_msg=name)
    assert one.learned.manifest.training.intensity == other.learned.manifest.training.intensity
    assert one.calibration.threshold == pytest.approx(other.calibration.threshold, abs=0.05)
    # Where it is seen, it changes all of that.
    seen, again = (lesson_of(tmp_path / f"seen {seed}", seed, FrameView()) for seed in (1, 2))
    assert abs(seen.calibration.threshold - again.calibration.threshold) > 0.5
    assert abs(seen.calibration.threshold - one.calibration.threshold) > 0.5
    assert not np.allclose(arrays_of(seen)["gaussian_6_mean.npy"], arrays["gaussian_6_mean.npy"])


def test_frames_of_which_nothing_is_left_are_refused() -> None:
    left_out = np.zeros(SHAPE, bool)
    left_out[::100, ::100] = True
    with pytest.raises(SemedgeError, match="Nothing is left of frames of 320x224 px"):
        learn(simulated(4, shape=SHAPE), OPTIONS, left_out=left_out)


def test_cells_that_are_not_inspected_have_the_values_of_others_as_near_to_the_border() -> None:
    frame_input = FeatureInput(
        network="efficientnet-lite0", overlap_px=8, feature_stride_px=16, cell_px=8
    )
    left_out = np.zeros((80, 80), bool)
    left_out[:20, :20] = True
    cells = InspectedCells(left_out, frame_input)
    rows, columns = np.mgrid[:10, :10]
    near = (rows < 4) & (columns < 4)
    np.testing.assert_array_equal(cells.inspected, ~near)
    distance = np.minimum.reduce([rows, columns, 9 - rows, 9 - columns]).astype(np.float32)
    np.testing.assert_array_equal(cells.filled(distance), distance)
    numbers = np.arange(100, dtype=np.float32).reshape(10, 10)
    filled = cells.filled(numbers)
    np.testing.assert_array_equal(filled[~near], numbers[~near])
    assert not np.isin(filled[near], numbers[near]).any()
    hidden = np.zeros((80, 80), bool)
    hidden[:32, :32] = True
    np.testing.assert_array_equal(cells.hidden_pixels(), hidden)


@pytest.mark.parametrize("kind", KINDS)
def test_defects_are_planted_where_frames_are_judged(kind: str) -> None:
    image = simulated(1)[0]
    hidden = np.zeros(image.shape, bool)
    hidden[:, :100] = True
    for seed in range(20):
        planted = plant(image, image, kind, np.random.default_rng(seed), hidden)
        columns = np.nonzero(planted != image)[1]
        if len(columns):
            assert np.median(columns) > 85


@pytest.mark.parametrize("kind", ["pasted", "blended"])
def test_nothing_of_what_is_left_out_is_planted(kind: str) -> None:
    random = np.random.default_rng(0)
    image = random.integers(80, 120, (160, 192), dtype=np.uint8)
    other = image[::-1].copy()
    hidden = np.zeros(image.shape, bool)
    hidden[:80, :96] = True
    other[hidden] = 255
    for seed in range(40):
        planted = plant(image, other, kind, np.random.default_rng(seed), hidden)
        assert planted[~hidden].max() < 130


def test_the_folder_leaves_out_what_the_last_frame_does(tmp_path: Path) -> None:
    store = FrameStore(tmp_path / "frames", "sim:1")
    images = clocked(1, 3)
    shown = [
        WITHOUT_CLOCK.show(Frame(images[0], 0)),
        FrameView(ViewSettings(leave_out_px=((8, 8, 4, 4),))).show(Frame(images[1], 1)),
        Frame(images[2], 2),
    ]
    for frame in shown:
        store.add(frame)
        for opened in (store, FrameStore(store.folder, "sim:1")):
            np.testing.assert_array_equal(opened[0].left_out, frame.left_out)
    assert not (store.folder / LEFT_OUT).exists()
    cropped = ViewSettings(crop_left_px=10, leave_out_px=((0, 4, 20, 8),))
    store.view_by(cropped)
    expected = np.zeros(SHAPE, bool)
    expected[4:12, :10] = True
    np.testing.assert_array_equal(FrameStore(store.folder, "sim:1")[0].left_out, expected)

"""Colours are judged where the normal frames have them, and only there."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from learned import bundle_of, in_colour, simulated, with_blot, with_stain

from semedge.core.frame import AnyImage, Frame
from semedge.core.images import to_gray
from semedge.inference.detector import Detector
from semedge.learning.frame_store import FrameStore
from semedge.learning.learn import Learned, learn
from semedge.learning.options import LearnOptions
from semedge.learning.planting import KINDS, plant
from semedge.learning.variation import Variation

QUICK = LearnOptions(position="off", even_light="on")
COUNT = 12


def frame_of(picture: AnyImage) -> Frame:
    return Frame(to_gray(picture), colours=picture if picture.ndim == 3 else None)


@cache
def of_colours(options: LearnOptions = QUICK) -> Learned:
    return learn([in_colour(image) for image in simulated(COUNT)], options)


def scores(result: Learned, pictures: list[AnyImage]) -> list[float]:
    with Detector(bundle_of(result)) as detector:
        return [detector.score(frame_of(picture)).frame_score for picture in pictures]


def test_a_stain_is_found_by_its_colour_alone() -> None:
    normal = [in_colour(image) for image in simulated(6, 100)]
    stained = [with_stain(picture) for picture in normal]
    result = of_colours()
    assert result.manifest.judges_colours
    assert min(scores(result, stained)) > max(scores(result, normal))
    choice = result.manifest.choice
    assert choice is not None
    assert choice.reason.endswith("colours are judged (12 of 12 frames have any).")


def test_without_colours_nothing_shows_it() -> None:
    normal = [in_colour(image) for image in simulated(6, 100)]
    stained = [with_stain(picture) for picture in normal]
    result = of_colours(dataclasses.replace(QUICK, colour="off"))
    assert not result.manifest.judges_colours
    np.testing.assert_allclose(scores(result, stained), scores(result, normal), rtol=0.2, atol=5)


def test_other_defects_are_found_in_colour_too() -> None:
    images = simulated(6, 100)
    normal, defective = (
        [in_colour(change(image)) for image in images] for change in (np.asarray, with_blot)
    )
    assert min(scores(of_colours(), defective)) > max(scores(of_colours(), normal))


@pytest.mark.parametrize(("gray_frames", "judged"), [(2, True), (3, False), (20, False)])
def test_nearly_all_frames_must_have_colours(gray_frames: int, judged: bool) -> None:
    images = simulated(20)
    frames = [image if at < gray_frames else in_colour(image) for at, image in enumerate(images)]
    assert learn(frames, QUICK).manifest.judges_colours is judged


def test_few_frames_are_judged_by_gray_values() -> None:
    result = learn([in_colour(image) for image in simulated(4)], QUICK)
    assert not result.manifest.judges_colours


def test_a_gray_frame_looks_strange_to_a_detector_of_colours() -> None:
    normal = [in_colour(image) for image in simulated(6, 100)]
    gray = [to_gray(picture) for picture in normal]
    assert min(scores(of_colours(), gray)) > max(scores(of_colours(), normal))


def test_a_detector_of_gray_values_ignores_colours() -> None:
    picture = in_colour(simulated(1, 100)[0])
    result = learn(simulated(COUNT), QUICK)
    in_colours, gray = scores(result, [picture, to_gray(picture)])
    assert in_colours == gray


def test_stored_frames_keep_their_colours(tmp_path: Path) -> None:
    store = FrameStore(tmp_path / "frames", "a camera")
    pictures = [in_colour(simulated(1)[0]), simulated(1)[0]]
    for picture in pictures:
        store.add(frame_of(picture))
    found = FrameStore(tmp_path / "frames", "a camera")
    for each, picture in zip(found, pictures, strict=True):
        np.testing.assert_array_equal(each.picture, picture)


@pytest.mark.parametrize("kind", KINDS)
def test_planted_defects_lie_at_one_place_of_all_channels(kind: str) -> None:
    image, other = simulated(2)
    planted = plant(np.dstack([image] * 3), np.dstack([other] * 3), kind, np.random.default_rng(5))
    for channel in range(3):
        np.testing.assert_array_equal(planted[..., channel], planted[..., 0])
    gray = plant(image, other, kind, np.random.default_rng(5))
    np.testing.assert_array_equal(planted[..., 0], gray)


def test_a_variation_moves_and_lights_all_channels() -> None:
    image = simulated(1)[0]
    gray = Variation(np.random.default_rng(3)).of(image)
    varied = Variation(np.random.default_rng(3)).of(np.dstack([image] * 3))
    assert varied.shape == (*image.shape, 3)
    ratio = varied.mean(axis=(0, 1)) / gray.mean()
    assert ((ratio > 0.95) & (ratio < 1.05)).all()
    assert np.ptp(ratio) > 0.001

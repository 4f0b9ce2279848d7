"""Colour statistics see hue and saturation of each place, and hardly its brightness."""

from __future__ import annotations

import numpy as np
import pytest
from learned import in_colour, simulated, with_stain

from semedge.inference.colour_statistics import STATISTICS, colour_statistics
from semedge.learning.variation import lit


def test_gray_has_none() -> None:
    image = simulated(1)[0]
    found = colour_statistics(image, 16)
    assert found.shape == (10, 12, STATISTICS)
    assert np.abs(found[..., [0, 1, 4, 5]]).max() < 1e-6
    np.testing.assert_allclose(found, colour_statistics(np.dstack([image] * 3), 16), atol=1e-6)


def test_they_are_of_the_place_and_of_those_around_it() -> None:
    picture = np.full((64, 96, 3), 102, np.uint8)
    picture[16:32, 32:48] = (0, 0, 255)
    found = colour_statistics(picture, 16)
    red = (1 - 0.299) / (0.299 + 0.1)
    assert found[1, 2, 0] == pytest.approx(red, abs=0.01)
    assert found[1, 2, 1] == pytest.approx(-0.299 / 0.399, abs=0.01)
    assert 0 < found[1, 1, 4] < found[1, 2, 0]
    assert found[1, 2, 6] > found[3, 5, 6] + 1, "colours vary around the border of the square"


def test_a_stain_as_bright_as_the_material_stands_out() -> None:
    picture = in_colour(simulated(1)[0])
    clean, stained = (colour_statistics(each, 16) for each in (picture, with_stain(picture)))
    assert (stained - clean)[5, 6, 1] > 3 * clean[..., 1].std()
    assert abs(stained - clean)[5, 6, 0] > 3 * clean[..., 0].std()


@pytest.mark.parametrize("gain", [0.7, 1.2])
def test_light_changes_them_little(gain: float) -> None:
    picture = in_colour(simulated(1)[0]) // 2 + 20
    stained = colour_statistics(with_stain(picture), 16)[5, 6, 0]
    as_it_is, brighter = (colour_statistics(each, 16) for each in (picture, lit(picture, gain)))
    assert np.abs(brighter - as_it_is)[..., 0].mean() < 0.2 * abs(stained - as_it_is[5, 6, 0])


def test_8_and_16_bits_give_the_same() -> None:
    picture = in_colour(simulated(1)[0])
    wide = picture.astype(np.uint16) * 257
    np.testing.assert_allclose(
        colour_statistics(picture, 16), colour_statistics(wide, 16), atol=1e-4
    )


@pytest.mark.parametrize("shape", [(33, 47), (48, 64), (100, 17)])
def test_cut_off_places_count(shape: tuple[int, int]) -> None:
    found = colour_statistics(np.zeros((*shape, 3), np.uint8), 16)
    assert found.shape == (-(-shape[0] // 16), -(-shape[1] // 16), STATISTICS)
    assert np.isfinite(found).all()

"""The simulated line: reproducible, the same material throughout, and true to its masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from semedge.cameras.simulation import KINDS, DefectKind, SimulatedLine
from semedge.core.images import list_images, read_image

SMALL = (96, 128)
EDGE_PX = 4
"""The optics blur a defect's edge by so much."""
HALO_PX = 22
"""A speck darkens what surrounds it up to here."""
INVISIBLE = 10
"""Gray values that drown in the noise."""


def dilated(mask: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def test_a_frame_depends_on_seed_and_number_alone() -> None:
    forwards = [SimulatedLine(7, SMALL, 0.5).frame(number) for number in range(12)]
    line = SimulatedLine(7, SMALL, 0.5)
    backwards = [line.frame(number) for number in reversed(range(12))][::-1]
    for one, other in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.mask, other.mask)
        assert one.defects == other.defects


def test_every_seed_and_number_gives_another_frame() -> None:
    frames = [SimulatedLine(seed, SMALL).frame(number) for seed in range(4) for number in range(4)]
    assert len({frame.image.tobytes() for frame in frames}) == 16


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    number=st.integers(0, 2**40),
    shape=st.tuples(st.integers(64, 200), st.integers(64, 200)),
    kind=st.sampled_from(KINDS),
    rate=st.sampled_from([0.0, 1.0]),
)
def test_the_mask_has_pixels_exactly_where_there_are_defects(
    seed: int, number: int, shape: tuple[int, int], kind: DefectKind, rate: float
) -> None:
    frame = SimulatedLine(seed, shape, rate, (kind,)).frame(number)
    assert frame.image.dtype == np.uint8
    assert frame.image.shape == frame.mask.shape == shape
    assert len(frame.defects) == rate
    assert frame.mask.any() == bool(frame.defects)
    for defect in frame.defects:
        x, y = defect.center_px
        assert defect.kind == kind
        assert defect.area_px == frame.mask.sum()
        assert 0 <= x <= shape[1]
        assert 0 <= y <= shape[0]
        assert defect.area_px <= np.pi * (defect.extent_px + 2) ** 2


@pytest.mark.parametrize(
    ("kind", "reach_px"), [("bead", EDGE_PX), ("film", EDGE_PX), ("speck", HALO_PX)]
)
def test_a_defect_changes_the_pixels_of_its_mask(kind: DefectKind, reach_px: int) -> None:
    changes = []
    for number in range(12):
        without = SimulatedLine(3, defect_rate=0.0).frame(number)
        with_one = SimulatedLine(3, defect_rate=1.0, kinds=(kind,)).frame(number)
        change = np.abs(with_one.image.astype(int) - without.image.astype(int))
        assert not without.mask.any()
        elsewhere = change[~dilated(with_one.mask, reach_px)] > INVISIBLE
        assert elsewhere.sum() < 0.01 * with_one.mask.sum()
        changes.append(change[with_one.mask].mean())
    assert np.median(changes) > 2 * INVISIBLE


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.9])
def test_defects_come_at_their_rate(rate: float) -> None:
    count = 400
    line = SimulatedLine(11, (32, 32), rate)
    found = sum(bool(line.frame(number).defects) for number in range(count))
    assert abs(found - count * rate) < 4 * np.sqrt(count * rate * (1 - rate))


def test_every_kind_comes_up() -> None:
    line = SimulatedLine(2, SMALL, 1.0)
    assert {line.frame(number).defects[0].kind for number in range(30)} == set(KINDS)


def test_the_material_stays_the_same() -> None:
    line = SimulatedLine(4, SMALL)

    def moments(first: int) -> NDArray[np.float64]:
        images = [line.frame(first + number).image for number in range(60)]
        return np.array([(image.mean(), image.std()) for image in images])

    early, late = moments(0), moments(100_000)
    error = np.sqrt((early.var(axis=0) + late.var(axis=0)) / 60)
    assert (np.abs(early.mean(axis=0) - late.mean(axis=0)) < 4 * error).all()


@pytest.mark.real_data
def test_it_resembles_the_real_material(real_data_dir: Path) -> None:
    """Brightness, contrast, and the size of the structures, within what a human eye forgives."""

    def look(image: NDArray) -> NDArray[np.float64]:
        gray = image[:384, :512].astype(float) / 255
        power = np.abs(np.fft.rfft2(gray - gray.mean())) ** 2
        frequency = np.hypot(np.fft.fftfreq(384)[:, None], np.fft.rfftfreq(512))
        fibres = power[(frequency > 0.02) & (frequency < 0.15)].sum() / power.sum()
        return np.array([gray.mean(), gray.std(), fibres])

    folder = real_data_dir / "nanotwice" / "normal"
    real = np.mean([look(read_image(path)) for path in list_images(folder)], axis=0)
    simulated = np.mean([look(SimulatedLine(1).frame(number).image) for number in range(5)], axis=0)
    np.testing.assert_allclose(simulated, real, atol=0.2)

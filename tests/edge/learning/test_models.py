"""What is fitted: Gaussians, the bank, planted defects, and how frames vary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learned import simulated

from semedge.core.errors import SemedgeError
from semedge.inference.feature_network import OUTPUTS
from semedge.inference.gray_statistics import GRAY
from semedge.learning.bank import drawn_items, fit_bank, fit_statistics_bank, spread_items
from semedge.learning.choose import auroc
from semedge.learning.gaussian import gaussian_of, shrinkage_of
from semedge.learning.learner import folds_of
from semedge.learning.planting import KINDS, plant
from semedge.learning.split import split_frames
from semedge.learning.variation import LIMITS, Limits, Variation

BANK_CHANNELS = sum(OUTPUTS[name] for name in ("f5", "f6", "f9"))


class TestGaussian:
    def test_normal_features_have_a_mean_distance_of_one(self) -> None:
        random = np.random.default_rng(0)
        mixing = random.normal(size=(8, 8))
        features = (random.normal(size=(5000, 8)) @ mixing + 3).astype(np.float32)
        mean, whitening = gaussian_of(features, 1e-6, 1.0)
        np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-4)
        whitened = (features - mean) @ whitening
        np.testing.assert_allclose(np.cov(whitened.T), np.eye(8), atol=0.15)

    def test_directions_of_most_variance_are_left_out(self) -> None:
        random = np.random.default_rng(1)
        features = (random.normal(size=(4000, 4)) * [10, 1, 1, 1]).astype(np.float32)
        _, whitening = gaussian_of(features, 1e-6, 0.75)
        assert whitening.shape == (4, 3)
        assert np.abs(whitening[0]).max() < 0.05

    def test_few_samples_are_shrunk_and_many_are_not(self) -> None:
        random = np.random.default_rng(2)
        mixing = np.diag([3, 2, 1, 0.5, 0.2])

        def shrinkage(count: int) -> float:
            centred = random.normal(size=(count, 5)) @ mixing
            centred -= centred.mean(axis=0)
            return shrinkage_of(centred, centred.T @ centred / count)

        assert shrinkage(6) > 0.1
        assert shrinkage(20_000) < 0.001

    def test_the_shrinkage_is_that_of_scikit_learn(self) -> None:
        covariance = pytest.importorskip("sklearn.covariance")
        features = np.random.default_rng(3).normal(size=(40, 12)) @ np.diag(np.arange(1, 13))
        centred = features - features.mean(axis=0)
        _, expected = covariance.ledoit_wolf(features)
        assert shrinkage_of(centred, centred.T @ centred / 40) == pytest.approx(expected)

    def test_features_that_do_not_vary_are_refused(self) -> None:
        with pytest.raises(SemedgeError, match="one gray"):
            gaussian_of(np.ones((10, 3), np.float32), 1e-3, 1.0)


class TestBank:
    def test_items_lie_far_apart(self) -> None:
        random = np.random.default_rng(0)
        clusters = np.repeat(np.eye(5, dtype=np.float32) * 100, 200, axis=0)
        places = clusters + random.normal(size=clusters.shape).astype(np.float32)
        items = spread_items(places, 5)
        assert sorted(items.argmax(axis=1)) == [0, 1, 2, 3, 4]

    def test_there_are_no_more_items_than_places(self) -> None:
        places = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
        assert len(spread_items(places, 1000)) == 7

    def test_outputs_count_alike(self) -> None:
        random = np.random.default_rng(0)
        features = random.normal(size=(500, BANK_CHANNELS)).astype(np.float32)
        louder = features.copy()
        louder[:, :40] *= 1000
        banks = [fit_bank(each, OUTPUTS, items=50) for each in (features, louder)]
        first = features @ banks[0].projection - banks[0].offset
        second = louder @ banks[1].projection - banks[1].offset
        np.testing.assert_allclose(
            np.square(first).sum(axis=1), np.square(second).sum(axis=1), rtol=0.02
        )


class TestGrayBank:
    def test_every_statistic_counts_by_its_own_variance(self) -> None:
        random = np.random.default_rng(0)
        scales = np.array([0.01, 1, 1, 0.01, 1, 1])
        statistics = (random.normal(size=(2000, 6)) * scales).astype(np.float32)
        bank = fit_statistics_bank(GRAY, statistics, items=100)
        components = bank.project({"gray": statistics[:, None]}).reshape(-1, 6)
        np.testing.assert_allclose(components.std(axis=0), 1, rtol=0.2)
        normal = bank.distances({"gray": statistics[:, None]})
        brighter = statistics[:, None] + np.float32([0.1, 0, 0, 0, 0, 0])
        assert np.median(bank.distances({"gray": brighter})) > 10 * np.median(normal)

    def test_rare_places_are_known_among_many_that_are_alike(self) -> None:
        random = np.random.default_rng(1)
        statistics = random.normal(0.5, 0.1, (50_000, 6)).astype(np.float32)
        statistics[7] = 0.0
        bank = fit_statistics_bank(GRAY, statistics, items=50)
        assert bank.distances({"gray": statistics[None, :8]})[0, 7] == pytest.approx(0, abs=1e-3)

    def test_rare_places_are_drawn(self) -> None:
        random = np.random.default_rng(0)
        clusters = np.repeat(np.eye(5, dtype=np.float32) * 100, [996, 1, 1, 1, 1], axis=0)
        places = clusters + random.normal(size=clusters.shape).astype(np.float32)
        items = drawn_items(places, places, 20)
        assert set(items.argmax(axis=1)) == {0, 1, 2, 3, 4}

    def test_there_are_no_more_items_than_places_that_differ(self) -> None:
        places = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
        assert len(drawn_items(places, places, 1000)) == 7
        assert len(drawn_items(np.repeat(places, 9, axis=0), np.repeat(places, 9, axis=0), 40)) == 7

    def test_the_order_of_the_frames_does_not_count(self) -> None:
        places = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
        np.testing.assert_array_equal(
            drawn_items(places, places, 50), drawn_items(places[::-1], places[::-1], 50)
        )

    @pytest.mark.parametrize(("shift", "median", "changed"), [(0.0, 0.02, 0.2), (4.0, 0.12, 0.35)])
    def test_one_frame_among_sixty_changes_few_distances(
        self, shift: float, median: float, changed: float
    ) -> None:
        random = np.random.default_rng(2)
        mixing = random.normal(size=(6, 6))
        frames = (random.standard_t(5, size=(61, 200, 6)) @ mixing).astype(np.float32)
        frames[60] += np.float32(shift)
        probes = (random.standard_t(5, size=(2000, 1, 6)) @ mixing).astype(np.float32)
        before, after = (
            fit_statistics_bank(GRAY, np.concatenate(chosen), items=300).distances({GRAY: probes})
            for chosen in (frames[:60], frames[1:])
        )
        changes = np.abs(np.log(after / before))
        assert np.median(changes) < median
        assert np.mean(changes > 0.2) < changed


class TestPlanting:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_every_kind_changes_a_part_of_the_frame(self, kind: str, dtype: type) -> None:
        first, second = (
            image.astype(dtype) * (257 if dtype == np.uint16 else 1) for image in simulated(2)
        )
        before = first.copy()
        shares = []
        for seed in range(12):
            planted = plant(first, second, kind, np.random.default_rng(seed))
            assert planted.dtype == dtype
            assert planted.shape == first.shape
            shares.append(float((planted != first).mean()))
        np.testing.assert_array_equal(first, before)
        assert np.median(shares) > 0.0005
        assert max(shares) < 0.6

    @settings(max_examples=30, deadline=None)
    @given(
        height=st.integers(32, 90),
        width=st.integers(32, 90),
        kind=st.sampled_from(sorted(KINDS)),
        seed=st.integers(0, 1000),
    )
    def test_frames_of_every_size_can_be_planted(
        self, height: int, width: int, kind: str, seed: int
    ) -> None:
        random = np.random.default_rng(seed)
        image = random.integers(0, 256, (height, width), dtype=np.uint8)
        other = random.integers(0, 256, (width + 3, height + 2), dtype=np.uint8)
        assert plant(image, other, kind, random).shape == (height, width)

    def test_defects_of_an_object_lie_on_the_object(self) -> None:
        random = np.random.default_rng(0)
        image = np.full((160, 160), 20, np.uint8)
        image[60:100, 60:100] = random.integers(0, 256, (40, 40))
        near = 0
        for seed in range(60):
            planted = plant(image, image, "specked", np.random.default_rng(seed))
            rows, columns = np.nonzero(planted != image)
            near += bool(len(rows)) and 45 < rows.mean() < 115 and 45 < columns.mean() < 115
        # By area alone it would be every fifth.
        assert near > 24


class TestVariation:
    def test_frames_vary_within_the_limits(self) -> None:
        image = np.full((64, 64), 100, np.uint8)
        grays = [
            float(Variation(np.random.default_rng(seed)).of(image).mean()) / 255
            for seed in range(50)
        ]
        share = 100 / 255
        assert min(grays) >= (1 - LIMITS.light) * share**LIMITS.gamma - 0.01
        assert max(grays) <= (1 + LIMITS.light) * share ** (1 / LIMITS.gamma) + 0.01
        assert np.std(grays) > 0.01

    def test_nothing_varies_without_limits(self) -> None:
        none = Limits(
            light=0, tint=0, gamma=1, blur_px=0, jpeg_quality=100, turn_degrees=0, shift_px=0
        )
        image = simulated(1)[0].astype(np.uint16) * 257
        for picture in (image, np.dstack([image] * 3)):
            same = Variation(np.random.default_rng(0), none).of(picture)
            np.testing.assert_allclose(same, picture, atol=300)

    def test_16_bits_stay_16_bits(self) -> None:
        image = simulated(1)[0].astype(np.uint16) * 200
        assert Variation(np.random.default_rng(1)).of(image).dtype == np.uint16


class TestSplit:
    def test_the_first_frames_are_fitted_to_and_the_later_ones_calibrate(self) -> None:
        split = split_frames(range(400), 299)
        assert split.fit == tuple(range(101))
        assert split.calibrate == tuple(range(101, 400))

    @given(count=st.integers(1, 600), needed=st.integers(1, 500), block=st.integers(1, 40))
    def test_no_group_is_on_both_sides(self, count: int, needed: int, block: int) -> None:
        groups = [index // block for index in range(count)]
        split = split_frames(groups, needed)
        assert split.fit
        assert not {groups[i] for i in split.fit} & {groups[i] for i in split.calibrate}
        assert len(split.fit) + len(split.calibrate) == count

    def test_groups_that_come_back_stay_on_one_side(self) -> None:
        split = split_frames([0, 1, 0, 1, 2, 0, 3], 2, fit=3)
        assert split.calibrate == (4, 6)

    @pytest.mark.parametrize(
        ("count", "fit"), [(1, 1), (2, 1), (5, 2), (30, 15), (100, 20), (900, 200)]
    )
    def test_few_frames_are_shared(self, count: int, fit: int) -> None:
        assert len(split_frames(range(count), 299).fit) == fit


def test_neighbours_are_in_one_fold() -> None:
    assert folds_of(3).tolist() == [0, 0, 0]
    assert folds_of(8).tolist() == [0, 0, 1, 1, 0, 0, 1, 1]


def test_the_auroc_counts_ties_half() -> None:
    assert auroc(np.array([0.0, 1.0]), np.array([1.0, 2.0])) == pytest.approx(0.875)

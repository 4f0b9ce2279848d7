"""Pretrained features: the same scores in tiles and as a whole, and what a bundle must have."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from bundles import TINY_GRAPH
from learned import SHAPE, bundle_of, learned, simulated, with_blot
from numpy.typing import NDArray
from pydantic import ValidationError

from semedge.core.errors import SemedgeError
from semedge.core.timing import Stopwatch
from semedge.inference import feature_extractor
from semedge.inference.bundle import Bundle, bundle_content, members_of, parse_bundle
from semedge.inference.detector import Detector
from semedge.inference.feature_extractor import FeatureExtractor
from semedge.inference.feature_manifest import FeatureScore
from semedge.inference.feature_maps import Bank, Gaussian, bank_features
from semedge.inference.feature_network import OUTPUTS, FeatureNetwork, averaged
from semedge.inference.feature_score import border_distances, without_border
from semedge.inference.feature_scorer import log_maps, model_of
from semedge.inference.grid import PatchGrid
from semedge.inference.manifest import Manifest
from semedge.inference.network_input import FeatureInput
from semedge.inference.tiling import choose_tile
from semedge.learning.options import AUTOMATIC, LearnOptions

ANYWHERE = LearnOptions(position="off", even_light="on")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return bundle_of(learned(ANYWHERE))


@pytest.mark.parametrize("largest_px", [70_000, 120_000])
def test_tiles_give_the_scores_of_the_whole_frame(
    bundle: Bundle, largest_px: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = simulated(1, 50, (333, 401))[0]
    with Detector(bundle) as detector:
        whole = detector.score(image).patch_scores
        tile = choose_tile((397, 465), 112, 16, largest_px)
        assert tile != choose_tile((397, 465), 112, 16)
        monkeypatch.setattr(feature_extractor, "_tile_for", lambda *shape: tile)
        np.testing.assert_allclose(detector.score(image).patch_scores, whole, atol=0.2)


def test_a_defect_raises_the_score_where_it_lies(bundle: Bundle) -> None:
    image = simulated(1, 60)[0]
    with Detector(bundle) as detector:
        normal, blot = detector.score(image), detector.score(with_blot(image))
    assert blot.frame_score > normal.frame_score + 30
    x, y = blot.peak_px
    assert abs(x - SHAPE[1] / 2) < 24
    assert abs(y - SHAPE[0] / 2) < 24


def test_the_score_of_a_frame_is_the_mean_of_its_highest_cells(bundle: Bundle) -> None:
    with Detector(bundle) as detector:
        scored = detector.score(simulated(1, 61)[0])
    assert isinstance(bundle.manifest.score, FeatureScore)
    highest = np.sort(scored.patch_scores)[-bundle.manifest.score.judged_cells(480) :]
    assert len(highest) == 10
    assert scored.frame_score == pytest.approx(float(highest.mean()), rel=1e-5)


def test_a_large_frame_is_judged_by_a_thousandth_of_its_cells(bundle: Bundle) -> None:
    assert bundle.manifest.score.judged_cells(64_000) == 64
    assert bundle.manifest.score.judged_cells(4) == 4


def test_frames_of_every_size_and_depth_are_scored(bundle: Bundle) -> None:
    image = simulated(1, 62, (200, 333))[0]
    with Detector(bundle) as detector:
        eight = detector.score(image).frame_score
        sixteen = detector.score(image.astype(np.uint16) * 257).frame_score
        small = detector.score(image[:40, :50]).frame_score
    assert sixteen == pytest.approx(eight, abs=0.5)
    assert np.isfinite(small)


def test_chosen_patches_have_the_highest_of_their_cells(bundle: Bundle) -> None:
    image = with_blot(simulated(1, 63)[0])
    grid = PatchGrid(SHAPE, 32, 16)
    with Detector(bundle) as detector:
        cells = detector.score(image).patch_scores.reshape(SHAPE[0] // 8, SHAPE[1] // 8)
        chosen = detector.score_chosen(image, grid, np.array([0, 12]))["features"]
    assert chosen[0] == pytest.approx(cells[:4, :4].max())
    assert chosen[1] == pytest.approx(cells[2:6, 2:6].max())


def test_each_map_is_a_score_of_its_own(bundle: Bundle) -> None:
    names = tuple(bundle.manifest.all_scores)
    assert names[0] == "features"
    assert {"bank", "fine", "gaussian_6", "gaussian_9"} <= set(names)
    with Detector(bundle, score_names=names) as detector:
        maps = detector.score_maps(with_blot(simulated(1, 64)[0]))
    assert set(maps) == set(names)


def test_the_raw_score_undoes_the_scale_of_the_score_alone(bundle: Bundle) -> None:
    assert isinstance(bundle.manifest.score, FeatureScore)
    scale = bundle.manifest.score.scale
    with Detector(bundle) as detector:
        raw = np.float32(detector.raw_score(100.0))
    assert scale.apply(raw) == pytest.approx(100.0)
    assert (scale.origin, scale.unit) != (0, 1)
    with Detector(bundle, score_names=("bank",)) as detector:
        assert detector.raw_score(100.0) == 100.0


def test_light_and_contrast_hardly_change_the_score(bundle: Bundle) -> None:
    image = simulated(1, 65)[0]
    darker = np.round(image * 0.8).astype(np.uint8)
    with Detector(bundle) as detector:
        scores = [detector.score(each).frame_score for each in (image, darker)]
    assert scores[1] == pytest.approx(scores[0], abs=12)


class TestModels:
    """The formulas, against other ones for the same."""

    @pytest.fixture
    def outputs(self) -> dict[str, NDArray[np.float32]]:
        random = np.random.default_rng(3)
        return {
            name: random.normal(
                size=(12, 14, channels) if name == "f5" else (6, 7, channels)
            ).astype(np.float32)
            for name, channels in OUTPUTS.items()
        }

    def test_the_gaussian_is_a_mean_squared_deviation(
        self, outputs: dict[str, NDArray[np.float32]]
    ) -> None:
        random = np.random.default_rng(4)
        mean = random.normal(size=80).astype(np.float32)
        whitening = random.normal(size=(80, 60)).astype(np.float32)
        found = Gaussian("f6", mean, whitening).distances(outputs)
        expected = np.square((outputs["f6"] - mean) @ whitening).mean(axis=2)
        np.testing.assert_allclose(found, expected, rtol=1e-4)

    def test_the_bank_is_the_distance_to_the_nearest_item(
        self, outputs: dict[str, NDArray[np.float32]]
    ) -> None:
        random = np.random.default_rng(5)
        projection = random.normal(size=(232, 8)).astype(np.float32) / 15
        offset = random.normal(size=8).astype(np.float32)
        items = random.normal(size=(30, 8)).astype(np.float32)
        found = Bank(None, projection, offset, items).distances(outputs)
        values = bank_features(outputs) @ projection - offset
        expected = np.square(values[:, :, None] - items).sum(axis=3).min(axis=2)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)

    def test_only_deeper_features_are_averaged_around_a_place(
        self, outputs: dict[str, NDArray[np.float32]]
    ) -> None:
        features = bank_features(outputs)
        np.testing.assert_allclose(features[..., :40], averaged(outputs["f5"]), rtol=1e-5)
        around = outputs["f6"][1:4, 2:5].mean(axis=(0, 1))
        np.testing.assert_allclose(features[2, 3, 40:120], around, rtol=1e-4, atol=1e-5)


def test_cells_near_the_border_are_compared_with_such_cells() -> None:
    grid = PatchGrid((80, 80), 8, 8)
    distance = border_distances(grid, 3)
    assert distance[0].tolist() == [0] * 10
    assert distance[5].tolist() == [0, 1, 2, 3, 3, 3, 3, 2, 1, 0]
    mean = np.array([5, 2, 1, 0], np.float32)
    deviation = np.array([4, 2, 0.5, 1], np.float32)
    values = mean[distance]
    np.testing.assert_allclose(without_border(values, grid, mean, deviation), 0)
    above = without_border(values + 1, grid, mean, deviation)
    # Where cells near the border vary more, they stand out less; never more than those inside.
    assert above[0, 0] == pytest.approx(0.25)
    assert above[2, 4] == pytest.approx(1)
    assert above[5, 5] == pytest.approx(1)


def test_position_refuses_frames_of_another_size() -> None:
    bundle = bundle_of(learned(LearnOptions(position="on", even_light="on")))
    with Detector(bundle) as detector:
        detector.score(simulated(1, 70)[0][:150, :180])
        with pytest.raises(SemedgeError, match=r"400x300 px.*192x160 px.*position=off"):
            detector.score(simulated(1, 70, (300, 400))[0])


def test_maps_have_one_value_a_cell(bundle: Bundle) -> None:
    assert isinstance(bundle.manifest.input, FeatureInput)
    assert isinstance(bundle.manifest.score, FeatureScore)
    network = FeatureNetwork(bundle.graph("features"))
    extractor = FeatureExtractor(network, bundle.manifest.input, gray=True, colour=False)
    arrays = bundle.arrays()
    models = {each.name: model_of(each, arrays) for each in bundle.manifest.score.maps}
    grid = PatchGrid(SHAPE, 8, 8)
    watch = Stopwatch()
    with ThreadPoolExecutor(2) as pool:
        found = log_maps(extractor, models, simulated(1, 71)[0], grid, watch, pool)
    assert {each.shape for each in found.values()} == {(20, 24)}
    assert {"scale", "network", "score"} <= set(watch.stage_ms)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"nodes": [{"output": "a", "graph": "features", "inputs": ["x"]}]}, "format version"),
        ({"format_version": 2}, "format version"),
        ({"score": {"name": "gaussian", "weights": {"texture": 1.0}}}, "score of features"),
        ({"stride_px": 9}, "stride"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    bundle: Bundle, values: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValidationError, match=named):
        Manifest.model_validate(bundle.manifest.model_dump(mode="json") | values)


@pytest.mark.parametrize("missing", ["features.tflite", "bank_items.npy", "border_mean.npy"])
def test_a_bundle_without_a_part_is_refused(bundle: Bundle, missing: str) -> None:
    document = bundle.manifest.model_dump(mode="json")
    del document["members"][missing]
    with pytest.raises(ValidationError, match=missing.partition(".")[0]):
        Manifest.model_validate(document)


def test_an_unknown_option_of_the_format_is_refused(bundle: Bundle) -> None:
    document = bundle.manifest.model_dump(mode="json")
    document["score"]["groups"][0]["maps"][0]["model"] = "forest"
    with pytest.raises(ValidationError, match="forest"):
        Manifest.model_validate(document)


def test_another_network_is_refused(bundle: Bundle) -> None:
    members = dict(bundle.members) | {"features.tflite": TINY_GRAPH.read_bytes()}
    document = bundle.manifest.model_dump(mode="json")
    document["members"] = {
        name: member.model_dump() for name, member in members_of(members).items()
    }
    other = parse_bundle(bundle_content(Manifest.model_validate(document), members), "other")
    with pytest.raises(SemedgeError):
        Detector(other)


def test_automatic_options_give_a_detector_too() -> None:
    with Detector(bundle_of(learned(AUTOMATIC))) as detector:
        assert detector.score_name == "features"

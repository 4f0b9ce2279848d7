"""The network of features that the edge carries is what the trainer exports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from semedge.cameras.simulation import SimulatedLine
from semedge.inference.feature_network import OUTPUTS, REACH_PX, FeatureNetwork
from semedge.learning.learn import features_content
from semedge_trainer.components.efficientnet import build_features, reach_px
from semedge_trainer.export import feature_network
from semedge_trainer.export.feature_images import feature_images


@pytest.fixture(scope="module")
def frame() -> NDArray[np.float32]:
    image = SimulatedLine(seed=77, shape=(256, 320)).frame(3).image
    return (image / 127.5 - 1).astype(np.float32)[None, ..., None]


@pytest.fixture(scope="module")
def shipped(frame: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    return FeatureNetwork(features_content()).run(frame)


def test_the_export_gives_the_network_that_is_shipped(
    shipped: dict[str, NDArray[np.float32]], frame: NDArray[np.float32]
) -> None:
    exported = FeatureNetwork(feature_network.feature_network()).run(frame)
    for name, values in shipped.items():
        assert np.corrcoef(exported[name].ravel(), values.ravel())[0, 1] > 0.999, name


def test_it_rounds_little(
    shipped: dict[str, NDArray[np.float32]], frame: NDArray[np.float32]
) -> None:
    model = build_features()
    exact = dict(zip(OUTPUTS, (np.asarray(each)[0] for each in model(frame)), strict=True))
    for name, values in shipped.items():
        # Equalized channels differ by a factor each, so that each is compared by itself.
        channels = [
            np.corrcoef(exact[name][..., each].ravel(), values[..., each].ravel())[0, 1]
            for each in range(values.shape[-1])
            if exact[name][..., each].std() > 1e-3
        ]
        assert np.median(channels) > 0.99, name


def test_equalizing_changes_nothing_but_the_scale(frame: NDArray[np.float32]) -> None:
    before = [np.asarray(each) for each in build_features()(frame)]
    equalized = feature_network._equalized(build_features(), feature_images()[::24])
    for old, new in zip(before, equalized(frame), strict=True):
        factors = old.std(axis=(0, 1, 2)) / np.maximum(np.asarray(new).std(axis=(0, 1, 2)), 1e-12)
        np.testing.assert_allclose(np.asarray(new) * factors, old, rtol=1e-3, atol=2e-3)


def test_no_pixel_beyond_the_reach_takes_part(frame: NDArray[np.float32]) -> None:
    assert reach_px(9) <= REACH_PX + 1
    network = FeatureNetwork(features_content())
    changed = frame.copy()
    changed[:, :, :16] = -changed[:, :, :16]
    first, second = network.run(frame), network.run(changed)
    unreached = (16 + REACH_PX) // 16 + 1
    np.testing.assert_array_equal(first["f9"][:, unreached:], second["f9"][:, unreached:])


def test_the_command_writes_the_file_or_says_what_it_needs(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "semedge_trainer.export.feature_network"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert result.returncode == 1
    assert "features.tflite" in result.stderr

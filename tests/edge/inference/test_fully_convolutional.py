"""A network over the frame: the scores of its patches, whatever the frame, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fully_convolutional_bundles import MEMBERS, fully_convolutional_manifest, tiles
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from semedge.cameras.simulation import SimulatedLine
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.inference.bundle import read_bundle, write_bundle
from semedge.inference.detector import Detector
from semedge.inference.manifest import Manifest
from semedge.inference.score_map import ScoreMap


def load(path: Path, manifest: dict[str, Any], **settings: int) -> Detector:
    write_bundle(path, Manifest.model_validate(manifest), MEMBERS)
    return Detector.load(path, **settings)


@pytest.fixture(scope="module")
def convolutional(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Detector]:
    path = tmp_path_factory.mktemp("convolutional") / "tiny.semedge"
    with load(path, fully_convolutional_manifest(tiles()), workers=2) as detector:
        yield detector


@pytest.fixture(scope="module")
def patchwise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Detector]:
    path = tmp_path_factory.mktemp("patchwise") / "tiny.semedge"
    with load(path, fully_convolutional_manifest(None), workers=2) as detector:
        yield detector


def score(detector: Detector, image: NDArray) -> ScoreMap:
    return detector.score(Frame(image, 0, 0.0, "frame"))


@settings(deadline=None, max_examples=60)
@given(st.integers(32, 140), st.integers(32, 170), st.sampled_from([np.uint8, np.uint16]))
def test_frames_of_every_size_have_the_scores_of_their_patches(
    convolutional: Detector, patchwise: Detector, height: int, width: int, dtype: type
) -> None:
    image = np.random.default_rng(height).integers(0, np.iinfo(dtype).max, (height, width), dtype)
    scores, expected = (score(each, image).patch_scores for each in (convolutional, patchwise))
    assert expected.std() > 0 or len(expected) == 1
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_the_network_runs_over_the_frame_and_on_patches_at_the_border(
    convolutional: Detector, patchwise: Detector
) -> None:
    image = SimulatedLine(seed=3, shape=(101, 120)).frame(0).image
    assert set(score(convolutional, image).stage_ms) == {"cut", "scale", "tile", "score"}
    assert set(score(patchwise, image).stage_ms) == {"cut", "scale", "embedding", "score"}


def test_at_another_stride_it_runs_on_patches(tmp_path: Path) -> None:
    image = SimulatedLine(seed=3, shape=(96, 120)).frame(0).image
    manifest = fully_convolutional_manifest(tiles())
    with load(tmp_path / "tiny.semedge", manifest, stride_px=16) as detector:
        stages = set(score(detector, image).stage_ms)
    assert stages == {"cut", "scale", "embedding", "score"}


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (
            fully_convolutional_manifest(tiles(), format_version=1),
            "format version",
        ),
        (fully_convolutional_manifest(None, format_version=3), "format version"),
        (
            fully_convolutional_manifest(tiles() | {"graph": "none"}),
            "'h_x' .*graph",
        ),
        (fully_convolutional_manifest(tiles(height=31)), "'h_x' .*tiles .*patch"),
        (
            fully_convolutional_manifest(tiles(), input={"patch_px": 32, "scaling": "patch"}),
            "'h_x' .*scaled",
        ),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    manifest: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        Manifest.model_validate(manifest)


def test_a_network_of_latents_is_not_fully_convolutional() -> None:
    manifest = fully_convolutional_manifest(None)
    second = manifest["nodes"][0] | {"output": "h_y", "inputs": ["h_x"], "over_frame": tiles()}
    manifest |= {"nodes": [*manifest["nodes"], second], "format_version": 3}
    with pytest.raises(ValidationError, match=r"'h_y' .*patches"):
        Manifest.model_validate(manifest)


def test_a_graph_of_another_tile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.semedge"
    with pytest.raises(SemedgeError, match=r"other\.semedge .*32x32 px"):
        load(path, fully_convolutional_manifest(tiles(width=80)))
    assert read_bundle(path).manifest.nodes[0].over_frame is not None

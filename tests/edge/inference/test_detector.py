"""A detector gives a patch the same score whatever it is scored with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import FRAME_SHAPE, embed, normal_frames, tiny_manifest, tiny_members
from numpy.typing import NDArray

from semedge.cameras.simulation import SimulatedLine
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.inference.bundle import array_content, read_bundle, write_bundle
from semedge.inference.detector import Detector
from semedge.inference.grid import PatchGrid
from semedge.inference.interpreter import Graph
from semedge.inference.manifest import Manifest, Node
from semedge.inference.nodes import nodes_needed, run_node
from semedge.inference.score_map import ScoreMap
from semedge.inference.scores.statistics import embedding_gaussian


@pytest.fixture(scope="module")
def detector(tiny_file: Path) -> Iterator[Detector]:
    with Detector.load(tiny_file, stride_px=16, workers=2) as loaded:
        yield loaded


def frame_of(image: NDArray, sequence: int = 0) -> Frame:
    return Frame(image, sequence, 0.0, f"frame {sequence}")


def fresh_frames(count: int, defect_rate: float) -> list[NDArray]:
    line = SimulatedLine(seed=99, shape=FRAME_SHAPE, defect_rate=defect_rate)
    return [line.frame(number).image for number in range(count)]


def test_scores_are_those_of_the_graph_and_the_formula(tiny_file: Path) -> None:
    image = fresh_frames(1, 0.0)[0]
    arrays = read_bundle(tiny_file).arrays()
    grid = PatchGrid(image.shape, 32, 16)
    expected = embedding_gaussian(embed(grid.cut(image)), **arrays)
    with Detector.load(tiny_file, stride_px=16) as loaded:
        score_map = loaded.score(frame_of(image))
    np.testing.assert_allclose(score_map.patch_scores, expected, rtol=1e-5)
    assert score_map.patch_scores.dtype == np.float32
    assert set(score_map.stage_ms) == {"cut", "scale", "embedding", "score"}
    assert all(spent_ms >= 0 for spent_ms in score_map.stage_ms.values())


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_scores_do_not_depend_on_the_workers(
    tiny_file: Path, detector: Detector, workers: int
) -> None:
    frame = frame_of(fresh_frames(1, 1.0)[0])
    with Detector.load(tiny_file, stride_px=16, workers=workers) as other:
        np.testing.assert_array_equal(
            other.score(frame).patch_scores, detector.score(frame).patch_scores
        )


def test_a_score_does_not_depend_on_the_batch_it_was_in(detector: Detector) -> None:
    image = fresh_frames(1, 1.0)[0]
    whole = detector.score(frame_of(image))
    corners = [(top, left) for top in whole.grid.tops for left in whole.grid.lefts]
    for index in (0, 31, 32, 63, len(corners) - 1):
        top, left = corners[index]
        alone = detector.score(frame_of(image[top : top + 32, left : left + 32]))
        np.testing.assert_allclose(alone.patch_scores, whole.patch_scores[index], rtol=1e-6)


@pytest.mark.parametrize("count", [1, 31, 32])
def test_a_batch_that_is_not_full_is_filled_up_and_cut_off(count: int) -> None:
    graph = Graph(tiny_members()["embedding.tflite"], "embedding")
    x = np.random.default_rng(count).uniform(-1, 1, (32, 32, 32, 1)).astype(np.float32)
    part = graph.run(x[:count])
    assert part.shape == (count, 4)
    np.testing.assert_array_equal(part, graph.run(x)[:count])


def test_eight_and_sixteen_bit_frames_agree(detector: Detector) -> None:
    image = fresh_frames(1, 0.0)[0]
    np.testing.assert_allclose(
        detector.score(frame_of(image.astype(np.uint16) * 257)).patch_scores,
        detector.score(frame_of(image)).patch_scores,
        rtol=1e-3,
    )


def test_planted_films_score_above_everything_normal(detector: Detector) -> None:
    normal = [detector.score(frame_of(image)).frame_score for image in fresh_frames(20, 0.0)]
    for image in normal_frames():
        filmed = image.copy()
        filmed[60:120, 90:150] = 250
        score_map = detector.score(frame_of(filmed))
        assert score_map.frame_score > max(normal)
        x, y = score_map.peak_px
        assert 90 - 16 <= x <= 150 + 16
        assert 60 - 16 <= y <= 120 + 16


@pytest.mark.parametrize(
    ("scores", "peak_px"),
    [
        ([9, 0, 0, 0, 0, 0], (16, 16)),
        ([0, 0, 0, 0, 0, 9], (84, 54)),
        ([0, 9, 0, 0, 0, 0], (48, 16)),
    ],
)
def test_the_peak_is_the_centre_of_the_highest_patch(
    scores: list[float], peak_px: tuple[int, int]
) -> None:
    grid = PatchGrid((70, 100), 32, 32)
    padded = np.zeros(grid.shape, np.float32)
    padded[0, :2] = scores[:2]
    padded[-1, -1] = scores[-1]
    score_map = ScoreMap(grid, padded.ravel(), {})
    assert score_map.peak_px == peak_px
    assert score_map.frame_score == 9
    assert score_map.to_pixels().shape == (70, 100)


def test_another_score_can_be_chosen(tiny_file: Path, detector: Detector) -> None:
    frame = frame_of(fresh_frames(1, 0.0)[0])
    with Detector.load(tiny_file, stride_px=16, score_names=["doubled"]) as doubled:
        np.testing.assert_allclose(
            doubled.score(frame).patch_scores, 2 * detector.score(frame).patch_scores, rtol=1e-6
        )


def test_several_scores_in_one_pass_are_those_of_each(tiny_file: Path, detector: Detector) -> None:
    frame = frame_of(fresh_frames(1, 1.0)[0])
    with Detector.load(tiny_file, stride_px=16, score_names=["doubled", "gaussian"]) as both:
        score_maps = both.score_maps(frame)
        judged = both.score(frame)
    assert list(score_maps) == ["doubled", "gaussian"]
    np.testing.assert_array_equal(judged.patch_scores, score_maps["doubled"].patch_scores)
    np.testing.assert_array_equal(
        score_maps["gaussian"].patch_scores, detector.score(frame).patch_scores
    )


def test_an_array_is_scored_as_the_frame_that_holds_it(tiny_file: Path, detector: Detector) -> None:
    image = fresh_frames(1, 1.0)[0]
    with Detector.load(str(tiny_file), stride_px=16) as loaded:
        np.testing.assert_array_equal(
            loaded.score(image).patch_scores, detector.score(frame_of(image)).patch_scores
        )


def test_an_array_that_cannot_be_a_frame_is_refused(detector: Detector) -> None:
    with pytest.raises(SemedgeError, match=r"dtype float64, shape \(64, 64\)"):
        detector.score(np.zeros((64, 64)))


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"workers": 0}, r"workers .* 1\. Received: 0"),
        ({"score_names": ["magic"]}, "'magic'.* gaussian, doubled"),
    ],
)
def test_settings_that_cannot_be(tiny_file: Path, settings: dict[str, Any], values: str) -> None:
    with pytest.raises(SemedgeError, match=values):
        Detector.load(tiny_file, **settings)


def test_a_stride_beyond_a_patch_is_refused(tiny_file: Path) -> None:
    with pytest.raises(SemedgeError, match=r"stride_px .*32 px.*Received: 33"):
        Detector.load(tiny_file, stride_px=33)


def test_a_frame_smaller_than_a_patch_is_refused(detector: Detector) -> None:
    with pytest.raises(SemedgeError, match=r"100x31 px .*32x32 px"):
        detector.score(frame_of(np.zeros((31, 100), np.uint8)))


def changed_bundle(path: Path, changes: dict[str, Any], **arrays: NDArray) -> Path:
    members = {
        **tiny_members(),
        **{f"{name}.npy": array_content(array) for name, array in arrays.items()},
    }
    document = {**tiny_manifest(members), **changes}
    write_bundle(path, Manifest.model_validate(document), members)
    return path


@pytest.mark.parametrize(
    ("changes", "arrays"),
    [
        ({"input": {"patch_px": 64, "scaling": "range"}}, {}),
        ({}, {"h_mean": np.zeros(5, np.float32)}),
        ({}, {"h_whitening": np.zeros((3, 3), np.float32)}),
    ],
)
def test_parts_that_do_not_match_are_refused(
    tmp_path: Path, changes: dict[str, Any], arrays: dict[str, NDArray]
) -> None:
    path = changed_bundle(tmp_path / "misfit.semedge", changes, **arrays)
    with pytest.raises(SemedgeError, match=r"misfit\.semedge .*patches of"):
        Detector.load(path)


def test_bytes_that_are_no_graph_are_refused(tmp_path: Path) -> None:
    members = {**tiny_members(), "embedding.tflite": b"TFL3 and then nonsense" * 50}
    path = tmp_path / "nonsense.semedge"
    write_bundle(path, Manifest.model_validate(tiny_manifest(members)), members)
    with pytest.raises(SemedgeError, match=r"graph embedding .*TFLite"):
        Detector.load(path)


def test_a_score_that_is_nan_or_infinite_is_refused(tmp_path: Path) -> None:
    path = changed_bundle(
        tmp_path / "huge.semedge", {}, h_whitening=np.full((4, 4), 3e38, np.float32)
    )
    with (
        Detector.load(path) as loaded,
        pytest.raises(SemedgeError, match=r"huge\.semedge .*frame 0 .*gaussian .*NaN"),
    ):
        loaded.score(frame_of(normal_frames()[0]))


def test_only_the_nodes_that_a_score_needs_run() -> None:
    nodes = [
        Node(output="z", graph="encoder", inputs=("x",)),
        Node(output="y", graph="generator", inputs=("z",)),
        Node(output="h_x", graph="embedding", inputs=("x",)),
        Node(output="f_xy", graph="pair", inputs=("x", "y")),
    ]

    def outputs(*wanted: str) -> list[str]:
        return [node.output for node in nodes_needed(nodes, set(wanted))]

    assert outputs("h_x") == ["h_x"]
    assert outputs("y", "x") == ["z", "y"]
    assert outputs("f_xy") == ["z", "y", "f_xy"]
    assert outputs("x") == []


def test_scales_divide_the_input_and_multiply_the_output() -> None:
    node = Node(
        output="z", graph="g", inputs=("a", "b"), input_scale="in_scale", output_scale="out_scale"
    )
    tensors = {
        "a": np.array([[2.0]], np.float32),
        "b": np.array([[12.0]], np.float32),
        "in_scale": np.array([2.0, 4.0], np.float32),
        "out_scale": np.array([10.0, 100.0], np.float32),
    }
    output = run_node(node, tensors, lambda name, values: values + 1)
    np.testing.assert_array_equal(output, [[20.0, 400.0]])

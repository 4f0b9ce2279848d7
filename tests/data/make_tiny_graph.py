"""Make `tiny.tflite`: four fixed features of a patch, as an embedding network in miniature.

The features are the patch's mean gray value and the mean size of its horizontal, vertical and
Laplacian differences. Nothing is trained; the graph exists so that the tests of the edge can run
a real bundle in milliseconds and without TensorFlow. It is run once, where TensorFlow is installed:

    python tests/data/make_tiny_graph.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

BATCH = 32
PATCH_PX = 32
KERNELS = (
    [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    [[0, 0, 0], [-1, 0, 1], [0, 0, 0]],
    [[0, -1, 0], [0, 0, 0], [0, 1, 0]],
    [[0, -1, 0], [-1, 4, -1], [0, -1, 0]],
)


@tf.function(input_signature=[tf.TensorSpec((BATCH, PATCH_PX, PATCH_PX, 1), tf.float32)])
def embed(x: tf.Tensor) -> tf.Tensor:
    """Features of patches, shape `(BATCH, 4)`."""
    kernels = np.stack([np.array(kernel, np.float32) for kernel in KERNELS], axis=-1)
    responses = tf.nn.conv2d(x, kernels[:, :, None, :], strides=1, padding="VALID")
    mean = tf.reduce_mean(responses[..., :1], axis=(1, 2))
    differences = tf.reduce_mean(tf.abs(responses[..., 1:]), axis=(1, 2))
    return tf.concat([mean, differences], axis=-1)


if __name__ == "__main__":
    converter = tf.lite.TFLiteConverter.from_concrete_functions([embed.get_concrete_function()])
    Path(__file__).with_name("tiny.tflite").write_bytes(converter.convert())

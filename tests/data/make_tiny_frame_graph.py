"""Make `tiny_tile.tflite` and `tiny_frame.tflite`: one small network for two sizes of frames.

Two convolutions of stride 2 with fixed kernels and the padding `same`, as in the networks of whole
frames: a value every 4 pixels that looks 3 pixels around itself. Nothing is trained. Run once,
where TensorFlow is installed:

    python tests/data/make_tiny_frame_graph.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

SHAPES = {"tiny_tile": (32, 48), "tiny_frame": (96, 144)}
FILTERS = (4, 5)


def convert(shape: tuple[int, int]) -> bytes:
    """The graph for frames of a shape."""
    random = np.random.default_rng(7)
    first, second = (
        random.normal(size=(3, 3, inputs, outputs)).astype(np.float32)
        for inputs, outputs in zip((1, FILTERS[0]), FILTERS, strict=True)
    )

    @tf.function(input_signature=[tf.TensorSpec((1, *shape, 1), tf.float32)])
    def features(x: tf.Tensor) -> tf.Tensor:
        values = tf.nn.relu(tf.nn.conv2d(x, first, strides=2, padding="SAME"))
        return tf.nn.conv2d(values, second, strides=2, padding="SAME")

    return tf.lite.TFLiteConverter.from_concrete_functions(
        [features.get_concrete_function()]
    ).convert()


if __name__ == "__main__":
    for name, shape in SHAPES.items():
        Path(__file__).with_name(f"{name}.tflite").write_bytes(convert(shape))

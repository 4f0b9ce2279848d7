"""The pretrained network of features as one int8 graph for every material.

    python -m semedge_trainer.export.feature_network edge/semedge/data/features.tflite

writes the graph that the edge carries. Its outputs are those that
`semedge.inference.feature_network` names: the expansion in the 4th block of EfficientNet-Lite0,
averaged over 4x4 values, and the outputs of the 5th, 6th and 9th block. Its input may be resized.

What the linear bottlenecks give is not clipped, and some of its channels are twenty times as large
as others, so that int8 would round the small ones away. Each channel is divided by its own range,
and what reads it is multiplied, which is exact (Nagel et al., "Data-Free Quantization Through
Weight Equalization and Bias Correction", 2019). The stem and the first block stay float.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.core.stderr import stderr_dropped
from semedge_trainer.extra import need_tensorflow

need_tensorflow()

import tensorflow as tf  # noqa: E402
from keras import Model  # noqa: E402
from tensorflow.lite.python.convert import mlir_quantize  # noqa: E402
from tensorflow.python.framework.convert_to_constants import (  # noqa: E402
    convert_variables_to_constants_v2,
)

from semedge_trainer.components.efficientnet import build_features  # noqa: E402
from semedge_trainer.export.feature_images import feature_images  # noqa: E402
from semedge_trainer.quantization.int8 import CalibratedGraph  # noqa: E402
from semedge_trainer.quantization.tflite import run_converter  # noqa: E402

Array = NDArray[np.float32]

BLOCKS_OF_ONE_WIDTH = ((1,), (2, 3), (4, 5), (6, 7, 8), (9,))
"""Blocks whose outputs are added up, so that their channels have one scale."""
QUANTILE = 0.9995
FLOAT_OPERATORS = 3
"""The stem and the first block: as fast in float, and they round the most."""


def feature_network() -> bytes:
    """The graph."""
    images = feature_images()
    model = _equalized(build_features(), images)
    calibrated = CalibratedGraph.read(_calibrated(model, images))
    names = [
        calibrated.graph.tensors[each.outputs[0]].name.decode()
        for each in calibrated.graph.operators
    ]
    calibrated.set_ranges([image[None] for image in images])
    content: bytes = mlir_quantize(calibrated.content(), denylisted_nodes=names[:FLOAT_OPERATORS])
    return content


def _equalized(model: Model, images: Array) -> Model:
    """The model with every channel of its linear bottlenecks in the same range."""
    for blocks in BLOCKS_OF_ONE_WIDTH:
        outputs = [f"block{block}_project" for block in blocks]
        outputs += [f"block{block}_add" for block in blocks[1:]]
        probe = Model(model.input, [model.get_layer(name).output for name in outputs])
        ranges: Any = 0.0
        for image in images:
            given = probe(image[None])
            for values in given if isinstance(given, list | tuple) else [given]:
                by_channel = np.abs(np.asarray(values)).reshape(-1, values.shape[-1])
                ranges = np.maximum(ranges, np.quantile(by_channel, QUANTILE, axis=0))
        factors = ranges / np.exp(np.log(ranges).mean())
        for block in blocks:
            layer = model.get_layer(f"block{block}_project")
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel / factors, bias / factors])
        for block in (*blocks[1:], blocks[-1] + 1):
            if f"block{block}_expand" in {each.name for each in model.layers}:
                layer = model.get_layer(f"block{block}_expand")
                kernel, bias = layer.get_weights()
                layer.set_weights([kernel * factors[:, None], bias])
    return model


def _calibrated(model: Model, images: Array) -> bytes:
    """The float graph with the ranges of its tensors."""
    function = tf.function(lambda frame: model(frame, training=False), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec(images[:1].shape, tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [convert_variables_to_constants_v2(concrete)]
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in images[:2])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter._experimental_calibrate_only = True
    return run_converter(converter)


def main() -> None:
    """Write the graph to the file that is given."""
    if len(sys.argv) != 2:
        raise SystemExit("Give the file to write, such as features.tflite.")
    try:
        with stderr_dropped():
            content = feature_network()
        write_atomically(Path(sys.argv[1]), content)
    except SemedgeError as error:
        raise SystemExit(f"Error: {error}") from error


if __name__ == "__main__":
    main()

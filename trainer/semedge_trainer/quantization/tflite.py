"""Deploy models through TFLite's converter.

Inputs and outputs stay float32, so that the scores' arithmetic stays float: with the score inside
an int8 graph, hundreds of patches share a hundred distinct scores.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from semedge.core.stderr import stderr_dropped
from semedge_trainer.quantization.representative import representative_batches

Array = NDArray[np.float32]


def convert_float(model: tf_keras.Model, *, half: bool = False) -> bytes:
    """Graph in float32; where `half`, its weights are in float16."""
    converter = _converter(model)
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return run_converter(converter)


def calibrating_converter(model: tf_keras.Model, representative: Array) -> tf.lite.TFLiteConverter:
    """A converter to int8 with float32 ends, whose ranges come from representative inputs."""
    batch = model.inputs[0].shape[0]
    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [values] for values in representative_batches(representative, batch)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter


def run_converter(converter: tf.lite.TFLiteConverter) -> bytes:
    """The graph that a converter gives; what it writes to stderr is dropped."""
    with stderr_dropped():
        graph: bytes = converter.convert()
    return graph


def _converter(model: tf_keras.Model) -> tf.lite.TFLiteConverter:
    signature = tf.TensorSpec(model.inputs[0].shape, tf.float32)
    function = tf.function(lambda values: model(values, training=False), autograph=False)
    concrete = function.get_concrete_function(signature)
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)

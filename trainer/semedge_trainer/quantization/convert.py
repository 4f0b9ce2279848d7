"""The door from a deploy model to a TFLite graph, whatever the graph computes in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semedge.inference.manifest import Quantization
from semedge_trainer.quantization.deploy_model import DeployModel
from semedge_trainer.quantization.int8 import Ranges, convert_int8
from semedge_trainer.quantization.tflite import convert_float

Array = NDArray[np.float32]


def convert(
    deploy_model: DeployModel,
    quantization: Quantization,
    representative: Array,
    *,
    ranges: Ranges = "least_error",
) -> bytes:
    """TFLite graph of a deploy model.

    Parameters
    ----------
    deploy_model
        From `to_deploy_model`; for `qat`, its weights are fine-tuned already.
    quantization
        What the graph computes in; `qat` is int8.
    representative
        Inputs `(n, ...)`, unscaled, n at least the batch; the ranges of int8 come from them.
    ranges
        How int8 rounds; see `convert_int8`.
    """
    match quantization:
        case "int8" | "qat":
            return convert_int8(deploy_model.model, deploy_model.scaled(representative), ranges)
        case _:
            return convert_float(deploy_model.model, half=quantization == "float16")

"""Make `hostile.tflite`: the tiny graph with a STRIDED_SLICE that lacks its inputs but the first.

The runtime reads the missing ones, so that a process that loads the graph ends with SIGSEGV. It is
run once, where TensorFlow is installed:

    python tests/data/make_hostile_graph.py
"""

from __future__ import annotations

from pathlib import Path

from tensorflow.lite.python.schema_py_generated import (
    BuiltinOperator,
    BuiltinOptions,
    OperatorCodeT,
    StridedSliceOptionsT,
)
from tensorflow.lite.tools import flatbuffer_utils

FOLDER = Path(__file__).parent

if __name__ == "__main__":
    content = bytearray((FOLDER / "tiny.tflite").read_bytes())
    model = flatbuffer_utils.read_model_from_bytearray(content)
    code = OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = BuiltinOperator.STRIDED_SLICE
    code.version = 1
    model.operatorCodes.append(code)
    operator = model.subgraphs[0].operators[0]
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.builtinOptionsType = BuiltinOptions.StridedSliceOptions
    operator.builtinOptions = StridedSliceOptionsT()
    operator.inputs = operator.inputs[:1]
    changed = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    (FOLDER / "hostile.tflite").write_bytes(changed)

"""TFLite's flatbuffers as objects that can be changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from tensorflow.lite.tools import flatbuffer_utils

Read = TypeVar("Read", bound="Flatbuffer")


@dataclass(frozen=True)
class Flatbuffer:
    """A TFLite model with one graph.

    Attributes
    ----------
    model
        The flatbuffer as objects.
    """

    model: Any

    @classmethod
    def read(cls: type[Read], content: bytes) -> Read:
        """Read the bytes of a file."""
        return cls(flatbuffer_utils.read_model_from_bytearray(bytearray(content)))

    def content(self) -> bytes:
        """The bytes of a file."""
        return bytes(flatbuffer_utils.convert_object_to_bytearray(self.model))

    @property
    def graph(self) -> Any:
        """Its tensors and operators."""
        return self.model.subgraphs[0]

    def kind(self, operator: Any) -> int:
        """Which of `BuiltinOperator` an operator is."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        return int(max(code.builtinCode, code.deprecatedBuiltinCode))

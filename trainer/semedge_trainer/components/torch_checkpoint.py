"""Weights out of a PyTorch checkpoint, without PyTorch and without executing anything in it.

The file (the format before PyTorch 1.6) is five pickles, then the values of each storage. The
unpickler here knows the harmless names that weights need and refuses every other.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
STORAGE_TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
COUNT_BYTES = 8


class ForeignPickleError(Exception):
    """The pickle asks for something that a checkpoint of weights does not need."""


@dataclass(frozen=True)
class _Tensor:
    """A view into a storage, whose values come later in the file."""

    storage: str
    type: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self, storages: Mapping[str, NDArray]) -> NDArray:
        values = storages[self.storage]
        sides = zip(self.shape, self.strides, strict=True)
        span = sum((side - 1) * stride for side, stride in sides)
        if min((self.offset, *self.strides)) < 0 or self.offset + span >= max(len(values), 1):
            raise ValueError("a tensor leaves its storage")
        strides = tuple(stride * values.itemsize for stride in self.strides)
        view = np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, strides)
        return np.ascontiguousarray(view)


class _Unpickler(pickle.Unpickler):
    """Builds ordered dictionaries and tensors, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of a name; a name that weights do not need is refused."""
        if module == "torch" and name in STORAGE_TYPES:
            return STORAGE_TYPES[name]
        if (module, name) not in FUNCTIONS:
            raise ForeignPickleError(f"it names {module}.{name}")
        return FUNCTIONS[module, name]

    def persistent_load(self, pid: Any) -> tuple[str, np.dtype]:
        """Key and type of a storage."""
        kind, type_, key, *_ = pid
        if kind != "storage" or not isinstance(type_, np.dtype):
            raise ForeignPickleError("it refers to something that is no storage")
        return key, type_


def _rebuild(
    storage: tuple[str, np.dtype],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_: object,
) -> _Tensor:
    key, type_ = storage
    return _Tensor(key, type_, offset, tuple(shape), tuple(strides))


FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
}
"""Everything that a checkpoint of weights calls."""


def read_torch_checkpoint(path: Path) -> dict[str, NDArray]:
    """Arrays of a state dictionary by name.

    Raises `SemedgeError` where the file cannot be read, is no such checkpoint, or holds anything
    but weights.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except OSError as error:
        raise SemedgeError(
            f"The checkpoint {path} cannot be read ({error.strerror}); check the path."
        ) from error
    except ForeignPickleError as error:
        raise SemedgeError(
            f"The checkpoint {path} is refused, because it holds more than weights: {error}; "
            "give a state dictionary."
        ) from error
    except Exception as error:  # a hostile pickle raises whatever it likes
        raise SemedgeError(
            f"The checkpoint {path} is damaged or no PyTorch state dictionary ({error}); install "
            "its package again."
        ) from error


def _read(file: BinaryIO) -> dict[str, NDArray]:
    if _Unpickler(file).load() != MAGIC or _Unpickler(file).load() != PROTOCOL:
        raise ValueError("another magic number")
    if not _Unpickler(file).load()["little_endian"]:
        raise ValueError("big-endian values")
    tensors: dict[str, _Tensor] = _Unpickler(file).load()
    types = {tensor.storage: tensor.type for tensor in tensors.values()}
    storages = {key: _read_storage(file, types[key]) for key in _Unpickler(file).load()}
    return {name: tensor.read(storages) for name, tensor in tensors.items()}


def _read_storage(file: BinaryIO, type_: np.dtype) -> NDArray:
    count = int.from_bytes(file.read(COUNT_BYTES), "little")
    content = file.read(count * type_.itemsize)
    return np.frombuffer(content, type_, count)

"""Sequences of frames that read them when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
S = TypeVar("S")


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of `count` indices, evenly chosen."""
    if not count or not most:
        return []
    return [int(at) for at in np.linspace(0, count - 1, min(count, most))]


class Subset(Sequence[T]):
    """Some items of a sequence."""

    def __init__(self, items: Sequence[T], indices: Sequence[int]) -> None:
        self._items = items
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> T:  # type: ignore[override]  # no slices
        return self._items[self._indices[index]]


class Converted(Sequence[T]):
    """The items of a sequence, each converted when it is read."""

    def __init__(self, items: Sequence[S], convert: Callable[[S], T]) -> None:
        self._length = items.__len__
        self._read: Callable[[int], T] = lambda index: convert(items[index])

    def __len__(self) -> int:
        return self._length()

    def __getitem__(self, index: int) -> T:  # type: ignore[override]  # no slices
        return self._read(index)

"""LZW as TIFF compresses with it, decoded with NumPy; a stream that is damaged raises."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

CLEAR, END, FIRST = 256, 257, 258
"""Code that empties the table, code that ends the stream, and the first code of the table."""
LONGEST_BITS = 12
WIDTHS = np.minimum(
    LONGEST_BITS, np.ceil(np.log2(np.arange(1 << LONGEST_BITS) + FIRST + 1))
).astype(np.int64)
"""Width of each code after the table was emptied: TIFF widens one code before it must."""
STARTS = np.concatenate(([0], np.cumsum(WIDTHS)[:-1]))


class LzwError(ValueError):
    """The stream is damaged."""


def decode_lzw(content: bytes) -> bytes:
    """The bytes that `content` encodes, up to its code for the end.

    Raises `LzwError` where a code is impossible or the code for the end is missing or too early.
    """
    return b"".join(part.tobytes() for part in _parts(content))


def _parts(content: bytes) -> Iterator[NDArray[np.uint8]]:
    """What is encoded between one emptying of the table and the next."""
    stream = np.frombuffer(content + bytes(4), np.uint8)
    length_bits = 8 * len(content)
    at_bit = 0
    while True:
        codes = _codes(stream, at_bit, length_bits)
        stops = np.flatnonzero((codes == CLEAR) | (codes == END))
        if not len(stops):
            raise LzwError("it does not end with the code for its end")
        stop = int(stops[0])
        at_bit += int(STARTS[stop] + WIDTHS[stop])
        yield _expand(codes[:stop])
        if codes[stop] == END:
            if length_bits - at_bit >= 16:
                raise LzwError(f"it ends {(length_bits - at_bit) // 8} bytes early")
            return


def _codes(stream: NDArray[np.uint8], at_bit: int, length_bits: int) -> NDArray[np.int64]:
    """The codes from `at_bit` on, as long as the table can grow."""
    first_bits = at_bit + STARTS
    first_bits = first_bits[first_bits + WIDTHS <= length_bits]
    widths = WIDTHS[: len(first_bits)]
    at = first_bits // 8
    three = ((stream[at].astype(np.int64) << 16) | (stream[at + 1].astype(np.int64) << 8)) | stream[
        at + 2
    ]
    return (three >> (24 - first_bits % 8 - widths)) & ((1 << widths) - 1)


def _expand(codes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The bytes of codes that share one table.

    Entry k of the table is what code k stands for and one byte more, and these bytes follow each
    other in the output: so each code but a byte is a copy of what stands earlier in the output.
    """
    if not len(codes):
        return np.empty(0, np.uint8)
    order = np.arange(len(codes))
    is_copy = codes >= FIRST
    origin = np.where(is_copy, codes - FIRST, order)
    if (origin >= order)[is_copy].any():
        raise LzwError("it has a code that its table does not have yet")
    starts, sizes = _places(origin, is_copy)
    total = int(sizes.sum())
    literals = np.zeros(total, np.uint8)
    literals[starts] = codes.astype(np.uint8)  # those of copies are never looked at
    source = np.arange(total) - np.repeat(starts - starts[origin], sizes)
    while not np.array_equal(source, earlier := source[source]):
        source = earlier
    return literals[source]


def _places(
    origin: NDArray[np.int64], is_copy: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First byte and number of bytes of each code in the output.

    A copy has one byte more than its origin.
    """
    steps = is_copy.astype(np.int64)
    while (further := steps[origin]).any():
        steps = steps + further
        origin = origin[origin]
    sizes = 1 + steps
    return np.cumsum(sizes) - sizes, sizes

"""Pixels of buffers that have chunk data behind them."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from semedge.cameras.chunks import without_chunks

PIXELS = bytes(range(60))


def labelled(*chunks: bytes, byte_order: str = ">") -> bytes:
    """Each chunk before its identifier and its length."""
    return b"".join(
        each + struct.pack(f"{byte_order}II", number, len(each))
        for number, each in enumerate(chunks)
    )


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ((PIXELS,), PIXELS),
        ((PIXELS, b"\0" * 8, b"ab"), PIXELS),
        ((PIXELS, b""), PIXELS),
        ((b"", b"ab"), b""),
    ],
)
def test_the_first_chunk_is_the_picture(
    byte_order: str, payload: tuple[bytes, ...], expected: bytes
) -> None:
    content = labelled(*payload, byte_order=byte_order)
    found = without_chunks(np.frombuffer(content, np.uint8), byte_order)
    assert found.tobytes() == expected


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"abc", b"\0" * 8 + b"\0\0\0\1\xff\xff\xff\xff"),
        b"x" + labelled(PIXELS, b"ab"),
        labelled(PIXELS, b"ab")[:-3],
    ],
)
def test_labels_that_lead_nowhere_leave_the_buffer_as_it_is(content: bytes) -> None:
    assert without_chunks(np.frombuffer(content, np.uint8), ">").tobytes() == content

"""Chunk data: what GenICam cameras send behind the pixels, each piece before its own label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LABEL_BYTES = 8
"""A chunk's identifier and its length, which follow it."""


def without_chunks(payload: NDArray[np.uint8], byte_order: str) -> NDArray[np.uint8]:
    """The pixels of a buffer with chunk data, which are its first chunk.

    The chunks are found from the end, since only their labels have their lengths. Where these do
    not lead to the beginning, the whole buffer is returned.

    Parameters
    ----------
    payload
        The bytes of the buffer.
    byte_order
        That of the labels: `>` for GigE Vision, `<` for USB3 Vision.
    """
    end = payload.size
    while end >= LABEL_BYTES:
        length = int(payload[end - 4 : end].view(f"{byte_order}u4")[0])
        begin = end - LABEL_BYTES - length
        if begin == 0:
            return payload[:length]
        end = begin
    return payload

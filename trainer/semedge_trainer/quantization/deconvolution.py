"""Kernels of the convolutions and dense layers that a transposed convolution can be."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Array = NDArray[np.float32]


def phase_kernel(kernel: Array) -> Array:
    """Kernel of the convolution that, with depth-to-space, is a transposed convolution.

    A transposed convolution of stride 2 with `same` padding writes input pixel i, times
    `kernel[t]`, to output pixel o = 2 i + t - p, p = (k - 2) // 2. For the outputs of one phase,
    o = 2 a + q, that is a convolution over i - a with tap t = q + p - 2 (i - a).

    Parameters
    ----------
    kernel
        Shape `(k, k, outputs, inputs)`.

    Returns
    -------
    Array
        Shape `(2 r + 1, 2 r + 1, inputs, 4 * outputs)`; phase (q_y, q_x) has the channels from
        `(2 q_y + q_x) * outputs`.
    """
    size, _, outputs, inputs = kernel.shape
    offset = (size - 2) // 2
    reach = max((size - 1 - offset) // 2, (offset + 1) // 2)
    phases = np.zeros((2 * reach + 1, 2 * reach + 1, inputs, 2, 2, outputs), np.float32)
    taps = [
        (distance + reach, phase, phase + offset - 2 * distance)
        for distance in range(-reach, reach + 1)
        for phase in (0, 1)
        if 0 <= phase + offset - 2 * distance < size
    ]
    for row, phase_y, tap_y in taps:
        for column, phase_x, tap_x in taps:
            phases[row, column, :, phase_y, phase_x] = kernel[tap_y, tap_x].T
    return phases.reshape(2 * reach + 1, 2 * reach + 1, inputs, 4 * outputs)


def doubling_kernel(kernel: Array, side_px: int) -> Array:
    """Kernel of the dense layer that is a transposed convolution of stride 2 on square images.

    Its rows are what each input value writes by itself.

    Parameters
    ----------
    kernel
        Shape `(k, k, outputs, inputs)`.
    side_px
        s, the side of the images that it takes.

    Returns
    -------
    Array
        Shape `(s * s * inputs, 2 s * 2 s * outputs)`, both in the order of flattened pixels.
    """
    _, _, outputs, inputs = kernel.shape
    shape = (side_px, side_px, inputs)
    one_at_a_time = np.eye(math.prod(shape), dtype=np.float32).reshape(-1, *shape)
    written = tf.nn.conv2d_transpose(
        one_at_a_time, kernel, (len(one_at_a_time), 2 * side_px, 2 * side_px, outputs), 2
    )
    dense: Array = written.numpy().reshape(len(one_at_a_time), -1)
    return dense


def flipped_kernel(kernel: Array) -> Array:
    """Kernel of the convolution that is a transposed convolution of stride 1.

    A transposed convolution of stride 1 with `same` padding writes input pixel i, times
    `kernel[t]`, to output pixel o = i + t - p, p = (k - 1) // 2: a convolution over i - o = p - t.
    A kernel of even size reaches further before a pixel than after it, which `same` padding does
    not allow for; it gets a row and a column of zeros.

    Parameters
    ----------
    kernel
        Shape `(k, k, outputs, inputs)`.

    Returns
    -------
    Array
        Shape `(r, r, inputs, outputs)`, r odd.
    """
    flipped = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    even = 1 - len(kernel) % 2
    padded: Array = np.pad(flipped, ((0, even), (0, even), (0, 0), (0, 0)))
    return padded

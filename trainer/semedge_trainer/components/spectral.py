"""Spectral normalization (Miyato et al. 2018; thesis ref. 38).

A layer's kernel W, as a matrix with one column an output channel, is divided by its largest
singular value, found by power iteration on a vector `u` that is kept between steps. The iteration
is a step of its own (`iterate_spectral_vectors`), taken once a training step, so that nothing
moves while a patch is scored.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

EPSILON = 1e-12


class _Spectral:
    """What the two layers share: the vector u, the singular value, the divided kernel."""

    kernel: Any
    spectral_u: Any

    def _add_spectral_vector(self, units: int) -> None:
        self.spectral_u = self.add_weight(  # type: ignore[attr-defined]
            name="spectral_u",
            shape=(units,),
            initializer="random_normal",
            trainable=False,
            dtype="float32",
            aggregation="only_first_replica",
        )

    def matrix(self) -> tf.Tensor:
        """The kernel as `(inputs, outputs)`."""
        kernel = tf.convert_to_tensor(self.kernel)
        return tf.reshape(tf.cast(kernel, tf.float32), (-1, kernel.shape[-1]))

    def sigma(self) -> tf.Tensor:
        """Estimate of the largest singular value; its gradient reaches the kernel only."""
        matrix = self.matrix()
        u = tf.math.l2_normalize(tf.convert_to_tensor(self.spectral_u), epsilon=EPSILON)
        v = tf.math.l2_normalize(tf.linalg.matvec(tf.stop_gradient(matrix), u), epsilon=EPSILON)
        return tf.tensordot(tf.stop_gradient(v), tf.linalg.matvec(matrix, u), 1)

    def iterate(self) -> None:
        """One power iteration on u."""
        matrix = self.matrix()
        v = tf.math.l2_normalize(
            tf.linalg.matvec(matrix, tf.convert_to_tensor(self.spectral_u)), epsilon=EPSILON
        )
        u = tf.math.l2_normalize(tf.linalg.matvec(matrix, v, transpose_a=True), epsilon=EPSILON)
        self.spectral_u.assign(u)

    def divided_kernel(self) -> tf.Tensor:
        """W / sigma(W), the kernel that the layer computes with."""
        kernel = tf.convert_to_tensor(self.kernel)
        return kernel / tf.cast(self.sigma(), kernel.dtype)


@keras.saving.register_keras_serializable("semedge")
class SpectralConv2D(_Spectral, keras.layers.Conv2D):
    """Convolution with a spectrally normalized kernel."""

    def build(self, input_shape: Any) -> None:
        """Create the kernel and u."""
        super().build(input_shape)
        self._add_spectral_vector(self.filters)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolve with W / sigma(W)."""
        kernel = tf.cast(self.divided_kernel(), inputs.dtype)
        outputs = keras.ops.conv(inputs, kernel, strides=list(self.strides), padding=self.padding)
        if self.use_bias:
            outputs = outputs + tf.cast(tf.convert_to_tensor(self.bias), outputs.dtype)
        return outputs


@keras.saving.register_keras_serializable("semedge")
class SpectralDense(_Spectral, keras.layers.Dense):
    """Fully connected layer with a spectrally normalized kernel."""

    def build(self, input_shape: Any) -> None:
        """Create the kernel and u."""
        super().build(input_shape)
        self._add_spectral_vector(self.units)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Multiply by W / sigma(W)."""
        outputs = tf.matmul(inputs, tf.cast(self.divided_kernel(), inputs.dtype))
        if self.use_bias:
            outputs = outputs + tf.cast(tf.convert_to_tensor(self.bias), outputs.dtype)
        return outputs


def spectral_layers(network: keras.Model) -> list[_Spectral]:
    """The spectrally normalized layers of a network."""
    return [layer for layer in network.layers if isinstance(layer, _Spectral)]


def iterate_spectral_vectors(network: keras.Model) -> None:
    """One power iteration in every spectrally normalized layer."""
    for layer in spectral_layers(network):
        layer.iterate()

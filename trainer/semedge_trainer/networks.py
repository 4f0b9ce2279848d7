"""Building blocks of the thesis's networks (appendix A).

Every function takes the Keras namespace `k` that it builds in: `keras` for training, `tf_keras`
for the twin that TFMOT quantizes. The same calls give the same layers with the same names in both,
so weights go from one to the other by name.

Kernels start Xavier-normal. A convolution or dense layer before batch normalization has no bias,
since the normalization's own offset takes its place.
"""

from __future__ import annotations

from typing import Any

KerasNamespace = Any
Network = Any
LayerOutput = Any

LATENT = 256
PATCH_PX = 32
LEAKY_SLOPE = 0.2
BATCH_NORM_MOMENTUM = 0.8
INITIALIZER = "glorot_normal"


def activate(k: KerasNamespace, name: str, values: LayerOutput, *, batch_norm: bool) -> LayerOutput:
    """Batch normalization where wanted, then leaky ReLU."""
    if batch_norm:
        values = k.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"{name}_bn")(
            values
        )
    return k.layers.LeakyReLU(LEAKY_SLOPE, name=f"{name}_lrelu")(values)


def convolve(
    k: KerasNamespace,
    name: str,
    values: LayerOutput,
    filters: int,
    kernel_px: int,
    *,
    batch_norm: bool,
    spectral: bool = False,
) -> LayerOutput:
    """Convolution of stride 2, batch normalization where wanted, leaky ReLU."""
    layer_class = _spectral_class("SpectralConv2D") if spectral else k.layers.Conv2D
    values = layer_class(
        filters,
        kernel_px,
        strides=2,
        padding="same",
        use_bias=not batch_norm,
        kernel_initializer=INITIALIZER,
        name=name,
    )(values)
    return activate(k, name, values, batch_norm=batch_norm)


def deconvolve(
    k: KerasNamespace, name: str, values: LayerOutput, filters: int, kernel_px: int
) -> LayerOutput:
    """Transposed convolution of stride 2, batch normalization, leaky ReLU."""
    values = k.layers.Conv2DTranspose(
        filters,
        kernel_px,
        strides=2,
        padding="same",
        use_bias=False,
        kernel_initializer=INITIALIZER,
        name=name,
    )(values)
    return activate(k, name, values, batch_norm=True)


def paint(
    k: KerasNamespace, name: str, values: LayerOutput, kernel_px: int, stride: int
) -> LayerOutput:
    """The last layer of a generator: transposed convolution to one channel, tanh."""
    values = k.layers.Conv2DTranspose(
        1,
        kernel_px,
        strides=stride,
        padding="same",
        kernel_initializer=INITIALIZER,
        name=name,
    )(values)
    return k.layers.Activation("tanh", dtype="float32", name=f"{name}_tanh")(values)


def dense(
    k: KerasNamespace,
    name: str,
    values: LayerOutput,
    units: int,
    *,
    bias: bool = True,
    spectral: bool = False,
) -> LayerOutput:
    """Fully connected layer, linear, computed in float32 also under mixed precision."""
    layer_class = _spectral_class("SpectralDense") if spectral else k.layers.Dense
    return layer_class(
        units, use_bias=bias, kernel_initializer=INITIALIZER, dtype="float32", name=name
    )(values)


def encoder(k: KerasNamespace, name: str) -> Network:
    """E, E_G and E_R of tables A6 and A7: patches `(n, 32, 32, 1)` to latents `(n, 256)`."""
    patches = k.Input((PATCH_PX, PATCH_PX, 1), name="patches")
    values = convolve(k, "conv1", patches, 64, 5, batch_norm=False)
    values = convolve(k, "conv2", values, 128, 5, batch_norm=True)
    values = convolve(k, "conv3", values, 256, 5, batch_norm=True)
    values = k.layers.Flatten(name="flatten")(values)
    return k.Model(patches, dense(k, "latent", values, LATENT), name=name)


def generator_ebgan(k: KerasNamespace, name: str = "generator") -> Network:
    """G of tables A6 and A7: latents `(n, 256)` to patches `(n, 32, 32, 1)` in [-1, 1].

    The tables' first layer, 4x4x256, cannot reach 32x32 in four doublings; it is 2x2x256 here, as
    in the author's code.
    """
    latent = k.Input((LATENT,), name="latent")
    values = dense(k, "dense", latent, 2 * 2 * 256, bias=False)
    values = activate(k, "dense", values, batch_norm=True)
    values = k.layers.Reshape((2, 2, 256), name="reshape")(values)
    for index, filters in enumerate((128, 64, 32), start=1):
        values = deconvolve(k, f"deconv{index}", values, filters, 5)
    return k.Model(latent, paint(k, "deconv4", values, 5, 2), name=name)


def embedding(k: KerasNamespace, name: str = "embedding", *, spectral: bool) -> Network:
    """h, the encoder half of D of tables A6 and A7: patches to embeddings `(n, 256)`.

    Spectral normalization, where wanted, is on this half only, as in the author's code.
    """
    patches = k.Input((PATCH_PX, PATCH_PX, 1), name="patches")
    values = patches
    for index, filters in enumerate((32, 64, 128), start=1):
        values = convolve(k, f"conv{index}", values, filters, 5, batch_norm=True, spectral=spectral)
    values = k.layers.Flatten(name="flatten")(values)
    return k.Model(patches, dense(k, "embedding", values, LATENT, spectral=spectral), name=name)


def decoder(k: KerasNamespace, name: str = "decoder") -> Network:
    """The decoder half of D of tables A6 and A7: embeddings `(n, 256)` to patches.

    The embedding is taken as 1x1x256 and doubled five times, as in the author's code.
    """
    latent = k.Input((LATENT,), name="embedding")
    values = k.layers.Reshape((1, 1, LATENT), name="reshape")(latent)
    for index, filters in enumerate((256, 128, 64, 32), start=1):
        values = deconvolve(k, f"deconv{index}", values, filters, 5)
    return k.Model(latent, paint(k, "deconv5", values, 5, 2), name=name)


def generator_anogan(k: KerasNamespace, name: str = "generator") -> Network:
    """G of table A1: latents `(n, 256)` to patches `(n, 32, 32, 1)` in [-1, 1]."""
    latent = k.Input((LATENT,), name="latent")
    values = dense(k, "dense", latent, 4 * 4 * 512, bias=False)
    values = activate(k, "dense", values, batch_norm=True)
    values = k.layers.Reshape((4, 4, 512), name="reshape")(values)
    for index, filters in enumerate((512, 256, 128), start=1):
        values = deconvolve(k, f"deconv{index}", values, filters, 4)
    return k.Model(latent, paint(k, "deconv4", values, 5, 1), name=name)


def features_anogan(k: KerasNamespace, name: str = "features") -> Network:
    """The convolutions of D of table A1: patches to features `(n, 4096)`, f in eq. 2.33."""
    patches = k.Input((PATCH_PX, PATCH_PX, 1), name="patches")
    values = patches
    for index, filters in enumerate((64, 128, 256), start=1):
        values = convolve(k, f"conv{index}", values, filters, 4, batch_norm=True)
    return k.Model(patches, k.layers.Flatten(name="flatten")(values), name=name)


def logit(k: KerasNamespace, units: int, name: str = "logit", *, spectral: bool = False) -> Network:
    """The last layer of a 0/1 discriminator: features `(n, units)` to a logit `(n, 1)`.

    The tables' sigmoid is part of the loss, where it is computed stably.
    """
    features = k.Input((units,), name="features")
    return k.Model(features, dense(k, "logit", features, 1, spectral=spectral), name=name)


def features_pair_images(
    k: KerasNamespace, name: str = "features_xx", *, spectral: bool = False
) -> Network:
    """D_xx of table A7 without its last layer: pairs `(n, 32, 32, 2)` to features `(n, 8192)`.

    Dropout is 0.5, as in the author's code, where the table says 0.2.
    """
    pairs = k.Input((PATCH_PX, PATCH_PX, 2), name="pairs")
    values = pairs
    for index, filters in enumerate((64, 128), start=1):
        values = convolve(
            k, f"conv{index}", values, filters, 4, batch_norm=False, spectral=spectral
        )
        values = k.layers.Dropout(0.5, name=f"dropout{index}")(values)
    return k.Model(pairs, k.layers.Flatten(name="flatten")(values), name=name)


def features_pair_latents(k: KerasNamespace, name: str = "features_zz") -> Network:
    """D_zz of table A7 without its last layer: pairs of latents `(n, 512)` to features `(n, 32)`.

    Dense layers; the kernels in the table mean nothing.
    """
    pairs = k.Input((2 * LATENT,), name="pairs")
    values = pairs
    for index, units in enumerate((64, 32), start=1):
        values = dense(k, f"dense{index}", values, units)
        values = activate(k, f"dense{index}", values, batch_norm=False)
        values = k.layers.Dropout(0.2, name=f"dropout{index}")(values)
    return k.Model(pairs, values, name=name)


def _spectral_class(name: str) -> Any:
    """Layer with spectral normalization; only trainings build it, the twins get plain layers."""
    from semedge_trainer import spectral

    return getattr(spectral, name)

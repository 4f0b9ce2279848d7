"""Building blocks of the thesis's networks (appendix A).

Batch normalization is named after the layer that it follows, `NAME_bn` after `NAME`; the export
folds it into that layer, which therefore has no bias of its own. Kernels start Xavier-normal, as in
the author's code.

The tables' patches have 32 px. Thesis 4.1 tried 28 px too, which halves to 14 and to 7 px and no
further, and says that this forced fewer transposed convolutions, without their layers. Here the
maps that the tables have at 8x8, 16x16 and 32x32 px are then at 7x7, 14x14 and 28x28 px, a dense
layer gives the first of them, and what comes before it is left out. Convolutions are those of the
tables: with padding, 7 px become 4 px as 8 px do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from keras import Input, Model, layers

from semedge_trainer.components.spectral import SpectralConv2D, SpectralDense

Network = Any
LayerOutput = Any
Padding = Literal["same", "valid"]
"""Whether a convolution sees zeros beyond its input, or nothing beyond it."""

LATENT = 256
PATCH_PX = 32
PATCH_SIDES_PX = (32, 28)
"""Sides of patches in 4.1, the one of the tables first."""
LEAKY_SLOPE = 0.2
BATCH_NORM_MOMENTUM = 0.8
INITIALIZER = "glorot_normal"
LEAST_FILTERS = 8
"""Narrowed layers keep a multiple of it, which the runtimes' kernels fill their registers with."""


def narrowed(filters: int, width: float) -> int:
    """A layer's filters times `width`, rounded to a multiple of 8.

    Examples
    --------
    >>> narrowed(64, 0.5), narrowed(32, 0.1)
    (32, 8)
    """
    return max(LEAST_FILTERS, LEAST_FILTERS * round(filters * width / LEAST_FILTERS))


def activate(name: str, values: LayerOutput, *, batch_norm: bool) -> LayerOutput:
    """Batch normalization where wanted, then leaky ReLU."""
    if batch_norm:
        values = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"{name}_bn")(values)
    return layers.LeakyReLU(LEAKY_SLOPE, name=f"{name}_lrelu")(values)


def convolve(
    name: str,
    values: LayerOutput,
    filters: int,
    kernel_px: int,
    *,
    batch_norm: bool,
    spectral: bool = False,
    padding: Padding = "same",
) -> LayerOutput:
    """Convolution of stride 2, batch normalization where wanted, leaky ReLU."""
    layer_class = SpectralConv2D if spectral else layers.Conv2D
    values = layer_class(
        filters,
        kernel_px,
        strides=2,
        padding=padding,
        use_bias=not batch_norm,
        kernel_initializer=INITIALIZER,
        name=name,
    )(values)
    return activate(name, values, batch_norm=batch_norm)


def deconvolve(name: str, values: LayerOutput, filters: int, kernel_px: int) -> LayerOutput:
    """Transposed convolution of stride 2, batch normalization, leaky ReLU."""
    values = layers.Conv2DTranspose(
        filters,
        kernel_px,
        strides=2,
        padding="same",
        use_bias=False,
        kernel_initializer=INITIALIZER,
        name=name,
    )(values)
    return activate(name, values, batch_norm=True)


def feature_maps(
    latent: LayerOutput, filters: Mapping[int, int], kernel_px: int, patch_px: int
) -> LayerOutput:
    """What a generator makes of latents before it paints a patch.

    Parameters
    ----------
    latent
        Shape `(n, units)`.
    filters
        Filters of each map, by its side in pixels where patches have 32 px, ascending; each is a
        transposed convolution of the one before. The first is a dense layer of the latent, and
        one of 1x1 px the latent itself.
    kernel_px
        Side of the kernels.
    patch_px
        Side of the patches. Maps have their share of it; those that have no whole side are left
        out.

    Returns
    -------
    LayerOutput
        The last map, `(n, side, side, filters)`.
    """
    maps = [
        (side_px * patch_px // PATCH_PX, count)
        for side_px, count in filters.items()
        if side_px * patch_px % PATCH_PX == 0
    ]
    (first_px, count), *others = maps
    values = latent
    if first_px > 1:
        values = dense("dense", values, first_px * first_px * count, bias=False)
        values = activate("dense", values, batch_norm=True)
    values = layers.Reshape((first_px, first_px, count), name="reshape")(values)
    for index, (_, count) in enumerate(others, start=1 + len(filters) - len(maps)):
        values = deconvolve(f"deconv{index}", values, count, kernel_px)
    return values


def paint(name: str, values: LayerOutput, kernel_px: int, stride: int) -> LayerOutput:
    """The last layer of a generator: transposed convolution to one channel, tanh."""
    values = layers.Conv2DTranspose(
        1,
        kernel_px,
        strides=stride,
        padding="same",
        kernel_initializer=INITIALIZER,
        name=name,
    )(values)
    return layers.Activation("tanh", dtype="float32", name=f"{name}_tanh")(values)


def dense(
    name: str,
    values: LayerOutput,
    units: int,
    *,
    bias: bool = True,
    spectral: bool = False,
) -> LayerOutput:
    """Fully connected layer, linear, computed in float32 also under mixed precision."""
    layer_class = SpectralDense if spectral else layers.Dense
    return layer_class(
        units, use_bias=bias, kernel_initializer=INITIALIZER, dtype="float32", name=name
    )(values)


def encoder(
    name: str,
    kernel_px: int = 5,
    latent: int = LATENT,
    *,
    width: float = 1.0,
    padding: Padding = "same",
    patch_px: int = PATCH_PX,
) -> Network:
    """Encoders of tables A4, A6 and A7, and with kernels of 4x4 px of table A2.

    Patches `(n, patch_px, patch_px, 1)` to latents `(n, latent)`, 256 values in the tables;
    `width` is what the filters of its convolutions are multiplied by.
    """
    patches = Input((patch_px, patch_px, 1), name="patches")
    values = encoder_convolutions(patches, kernel_px, width=width, padding=padding)
    return Model(patches, dense("latent", values, latent), name=name)


def encoder_convolutions(
    patches: LayerOutput, kernel_px: int, *, width: float = 1.0, padding: Padding = "same"
) -> LayerOutput:
    """The convolutions of an encoder: patches `(n, 32, 32, 1)` to features `(n, 4096 width)`.

    Patches of 28 px give as many. Without padding, kernels of 5 px give `(n, 256 width)`, which
    see the first 29 px of either side, wherever in a frame the patch lies.
    """
    values = patches
    for index, filters in enumerate((64, 128, 256), start=1):
        values = convolve(
            f"conv{index}",
            values,
            narrowed(filters, width),
            kernel_px,
            batch_norm=index > 1,
            padding=padding,
        )
    return layers.Flatten(name="flatten")(values)


def generator_ebgan(
    name: str = "generator",
    latent: int = LATENT,
    *,
    width: float = 1.0,
    patch_px: int = PATCH_PX,
) -> Network:
    """G of tables A6 and A7: latents `(n, latent)` to patches `(n, 32, 32, 1)` in [-1, 1].

    The tables' first layer, 4x4x256, cannot reach 32x32 in four doublings; it is 2x2x256 here, as
    in the author's code. For patches of 28 px it is 7x7x64.
    """
    first = Input((latent,), name="latent")
    filters = {2: 256, 4: 128, 8: 64, 16: 32}
    values = feature_maps(first, _narrowed_maps(filters, width), 5, patch_px)
    return Model(first, paint("deconv4", values, 5, 2), name=name)


def embedding(name: str = "embedding", *, width: float = 1.0, patch_px: int = PATCH_PX) -> Network:
    """h, the encoder half of D of tables A6 and A7: patches to embeddings `(n, 256)`.

    Spectral normalization is on this half only, as in the author's code.
    """
    patches = Input((patch_px, patch_px, 1), name="patches")
    values = patches
    for index, filters in enumerate((32, 64, 128), start=1):
        values = convolve(
            f"conv{index}", values, narrowed(filters, width), 5, batch_norm=True, spectral=True
        )
    values = layers.Flatten(name="flatten")(values)
    return Model(patches, dense("embedding", values, LATENT, spectral=True), name=name)


def decoder(name: str = "decoder", *, width: float = 1.0, patch_px: int = PATCH_PX) -> Network:
    """The decoder half of D of tables A6 and A7: embeddings `(n, 256)` to patches.

    The embedding is taken as 1x1x256 and doubled five times, as in the author's code. For patches
    of 28 px a dense layer gives 7x7x64.
    """
    latent = Input((LATENT,), name="embedding")
    filters = {2: 256, 4: 128, 8: 64, 16: 32}
    maps = {1: LATENT, **_narrowed_maps(filters, width)}
    values = feature_maps(latent, maps, 5, patch_px)
    return Model(latent, paint("deconv5", values, 5, 2), name=name)


def generator_anogan(
    name: str = "generator", last_kernel_px: int = 5, *, patch_px: int = PATCH_PX
) -> Network:
    """G of tables A1 and A2: latents `(n, 256)` to patches `(n, 32, 32, 1)` in [-1, 1].

    G of table A3 is the same with a last kernel of 4 px. The first layer is 4x4x512; for patches
    of 28 px it is 7x7x512.
    """
    latent = Input((LATENT,), name="latent")
    values = feature_maps(latent, {4: 512, 8: 512, 16: 256, 32: 128}, 4, patch_px)
    return Model(latent, paint("deconv4", values, last_kernel_px, 1), name=name)


def features_anogan(
    name: str = "features",
    kernel_px: int = 4,
    *,
    batch_norm: bool = True,
    patch_px: int = PATCH_PX,
) -> Network:
    """The convolutions of D of tables A1 and A4, and with kernels of 5x5 px of table A5.

    Patches to features `(n, 4096)`, f in eq. 2.33.
    """
    patches = Input((patch_px, patch_px, 1), name="patches")
    values = patches
    for index, filters in enumerate((64, 128, 256), start=1):
        values = convolve(f"conv{index}", values, filters, kernel_px, batch_norm=batch_norm)
    return Model(patches, layers.Flatten(name="flatten")(values), name=name)


def logit(units: int, name: str = "logit", *, spectral: bool = False) -> Network:
    """The last layer of a 0/1 discriminator: features `(n, units)` to a logit `(n, 1)`.

    The tables' sigmoid is part of the loss, where it is computed stably.
    """
    features = Input((units,), name="features")
    return Model(features, dense("logit", features, 1, spectral=spectral), name=name)


def features_pair_images(
    name: str = "features_xx", dropout: float = 0.5, *, patch_px: int = PATCH_PX
) -> Network:
    """D_xx of tables A3 and A7 without its last layer: pairs `(n, 32, 32, 2)` to `(n, 8192)`.

    Pairs of 28 px give `(n, 6272)`, 7x7x128. Dropout is 0.5 in A7, as in the author's code, where
    the table says 0.2.
    """
    pairs = Input((patch_px, patch_px, 2), name="pairs")
    values = pairs
    for index, filters in enumerate((64, 128), start=1):
        values = convolve(f"conv{index}", values, filters, 4, batch_norm=False, spectral=True)
        values = layers.Dropout(dropout, name=f"dropout{index}")(values)
    return Model(pairs, layers.Flatten(name="flatten")(values), name=name)


def logit_pair_images(features: Network) -> Network:
    """The last layer of D_xx, for what `features_pair_images` gave."""
    return logit(features.output_shape[-1], "logit_xx", spectral=True)


def features_pair_latents(name: str = "features_zz", *, spectral: bool = False) -> Network:
    """D_zz of tables A3 and A7 without its last layer: pairs of latents `(n, 512)` to `(n, 32)`.

    Dense layers; the kernels in the tables mean nothing.
    """
    pairs = Input((2 * LATENT,), name="pairs")
    return Model(pairs, dense_stack(pairs, (64, 32), dropout=0.2, spectral=spectral), name=name)


def _narrowed_maps(filters: Mapping[int, int], width: float) -> dict[int, int]:
    return {side_px: narrowed(count, width) for side_px, count in filters.items()}


def dense_stack(
    values: LayerOutput, units: tuple[int, ...], *, dropout: float, spectral: bool = False
) -> LayerOutput:
    """Fully connected layers `dense1`, `dense2`..., each with leaky ReLU and dropout."""
    for index, count in enumerate(units, start=1):
        values = dense(f"dense{index}", values, count, spectral=spectral)
        values = activate(f"dense{index}", values, batch_norm=False)
        values = layers.Dropout(dropout, name=f"dropout{index}")(values)
    return values

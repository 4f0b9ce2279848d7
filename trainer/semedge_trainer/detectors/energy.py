"""What the detectors of the EBGAN family share (thesis 3.2, 4.2 and 4.3; tables A6 and A7).

G, and D(x) = Dec(h(x)) as its halves h and Dec. Energy e(x) = mean ||D(x) - x||. Norms are per
patch and not squared; losses are means over the batch. The margin, the three updates of G and the
weights of the terms are the author's code's, for patches of 32 px, and the same for those of 28 px.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import tensorflow as tf

from semedge.core.errors import SemedgeError
from semedge.inference.manifest import Node
from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import LATENT, PATCH_PX, Network, Padding
from semedge_trainer.components.losses import mean_norm
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.components.spectral import iterate_spectral_vectors
from semedge_trainer.components.stabilization import pulling_away
from semedge_trainer.detectors.base import Losses, Networks, Stage, StepContext, node
from semedge_trainer.detectors.options import PatchOptions

MARGIN = 20.0
GENERATOR_UPDATES = 3
PULLING_AWAY_WEIGHT = 0.25
FEATURE_WEIGHT = 0.4

RATES = {"generator": 1e-5, "embedding": 5e-6, "decoder": 5e-6}
ENCODER_RATE = 5e-5
FAST_FACTOR = 10.0
"""Factor of the learning rates on the `fast` schedules of the family."""
LEAST_WIDTH = 0.125
MOST_WIDTH = 2.0
LEAST_UNPADDED_PX = 29
"""What the three convolutions of an encoder without padding see."""


@dataclass(frozen=True)
class EnergyOptions(PatchOptions):
    """Variants of the whole family.

    Attributes
    ----------
    pulling_away_squared
        Whether the pulling-away term squares the cosines, as in eq. 3.8 and not in the author's
        code.
    pulling_away_weight
        Weight of the term in the generator's loss; 0 switches it off.
    width
        Factor of the number of filters of every convolution of G, D and the encoders; the tables
        have 1. The latents keep their length.
    """

    pulling_away_squared: bool = True
    pulling_away_weight: float = PULLING_AWAY_WEIGHT
    width: float = 1.0

    def __post_init__(self) -> None:
        if not LEAST_WIDTH <= self.width <= MOST_WIDTH:
            raise SemedgeError(
                f"Option width must be between {LEAST_WIDTH} and {MOST_WIDTH}. Received: "
                f"{self.width}"
            )
        if not self.pulling_away_weight >= 0.0:
            raise SemedgeError(
                f"Option pulling_away_weight must be 0 or more. Received: "
                f"{self.pulling_away_weight}"
            )


@dataclass(frozen=True)
class EncodedOptions(EnergyOptions):
    """Variants of those with encoders.

    Attributes
    ----------
    encoder_padding
        Padding of the encoders' convolutions: `same`, as in the tables, or `valid`, with which
        they take a fraction of the multiply-adds, and a frame's patches can share them.
    encoder_energy
        Whether the encoder's loss has the energy e(G(E(x))) too, as 5.5 asks.
    """

    encoder_padding: Padding = field(default="same", metadata={"choices": ("same", "valid")})
    encoder_energy: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoder_padding == "valid" and self.patch_px < LEAST_UNPADDED_PX:
            raise SemedgeError(
                f"encoder_padding=valid needs patches of {LEAST_UNPADDED_PX} px or more. Received: "
                f"patch_px={self.patch_px}; choose encoder_padding=same or patch_px={PATCH_PX}."
            )

    def encoder(self, name: str) -> Network:
        """An encoder for these patches, of this width and padding."""
        return blocks.encoder(
            name, width=self.width, padding=self.encoder_padding, patch_px=self.patch_px
        )


def energy_networks(options: EnergyOptions) -> dict[str, Network]:
    """G, and the halves h and Dec of D."""
    width, patch_px = options.width, options.patch_px
    return {
        "generator": blocks.generator_ebgan(width=width, patch_px=patch_px),
        "embedding": blocks.embedding(width=width, patch_px=patch_px),
        "decoder": blocks.decoder(width=width, patch_px=patch_px),
    }


def image_nodes(item: str) -> tuple[Node, ...]:
    """An item's latent and reconstruction, and what D makes of both."""
    return (
        node("z", "encoder", item),
        node("y", "generator", "z"),
        node("h_x", "embedding", item),
        node("h_y", "embedding", "y"),
        node("d_x", "decoder", "h_x"),
        node("d_y", "decoder", "h_y"),
    )


def ebgan_stage(
    rates: Mapping[str, float],
    *,
    pulling_away_squared: bool,
    pulling_away_weight: float = PULLING_AWAY_WEIGHT,
    matching_weight: float = 0.0,
    margin: float | None = None,
    latent_shape: tuple[int, ...] = (LATENT,),
) -> Stage:
    """Per step one update of D down L_D, then three of G down L_G (eq. 3.7, with eq. 3.8).

    L_D = e(x) + max(0, m - e(G(z))); L_G = e(G(z)) + 0.25 PT(h(G(z))) + w ||h(x) - h(G(z))||.

    Parameters
    ----------
    rates
        Learning rates of `generator`, `embedding` and `decoder`.
    pulling_away_squared
        Whether PT squares the cosines, as in eq. 3.8.
    pulling_away_weight
        Weight of PT; that of the author's code where it is not given.
    matching_weight
        w; 0 leaves the term out.
    margin
        m; the author's code's 20 where None.
    latent_shape
        Shape of one z.
    """
    step = partial(
        _step_ebgan,
        pulling_away_squared=pulling_away_squared,
        pulling_away_weight=pulling_away_weight,
        matching_weight=matching_weight,
        margin=MARGIN if margin is None else margin,
        latent_shape=latent_shape,
    )
    settle = partial(_settle_ebgan, latent_shape=latent_shape)
    return Stage("ebgan", rates, step, settle, watched=_energy_of)


def _energy_of(networks: Networks, x: tf.Tensor) -> tf.Tensor:
    """e(x) in inference mode."""
    embedded = networks["embedding"](x, training=False)
    return mean_norm(networks["decoder"](embedded, training=False) - x)


def encoder_terms(
    networks: Networks, x: tf.Tensor, *, decoded: bool = False, energy: bool = False
) -> tuple[tf.Tensor, Losses]:
    """G(E(x)), and the terms of the encoder's loss with G and D frozen.

    `image` is ||G(E(x)) - x||; `features` is ||h(x) - h(G(E(x)))||, or the same of the decoded
    images D(x) and D(G(E(x))). `energy`, where it is asked for, is e(G(E(x))).
    """
    h, decoder = networks["embedding"], networks["decoder"]

    def features(patches: tf.Tensor) -> tf.Tensor:
        embedded = h(patches, training=False)
        return decoder(embedded, training=False) if decoded else embedded

    y = networks["generator"](networks["encoder"](x, training=True), training=False)
    terms = {"image": mean_norm(y - x), "features": mean_norm(features(x) - features(y))}
    if energy:
        terms["energy"] = mean_norm(decoder(h(y, training=False), training=False) - y)
    return y, terms


def encoder_loss(terms: Losses) -> tf.Tensor:
    """Image + 0.4 features, and the energy where there is one."""
    return terms["image"] + FEATURE_WEIGHT * terms["features"] + terms.get("energy", 0.0)


def settle_encoder(networks: Networks, x: tf.Tensor, random: Randomness) -> None:
    """Run E in training mode on patches."""
    networks["encoder"](x, training=True)


def fine_tuning_terms(
    networks: Networks, patches: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """e(x) and the encoder's loss on quantization-aware deploy models, with E(x) and G(E(x))."""
    h, decoder, generator = (networks[name] for name in ("embedding", "decoder", "generator"))
    h_x = h(patches, training=True)
    d_x = decoder(h_x, training=True)
    z = networks["encoder"](patches, training=True)
    y = generator(z, training=True)
    h_y = h(y, training=True)
    decoder(h_y, training=True)
    loss = (
        mean_norm(d_x - patches)
        + mean_norm(y - patches)
        + FEATURE_WEIGHT * mean_norm(tf.stop_gradient(h_x) - h_y)
    )
    return loss, z, y


def _step_ebgan(
    context: StepContext,
    x: tf.Tensor,
    *,
    pulling_away_squared: bool,
    pulling_away_weight: float,
    matching_weight: float,
    margin: float,
    latent_shape: tuple[int, ...],
) -> Losses:
    networks, random = context.networks, context.random
    count = tf.shape(x)[0]
    generator, h, decoder = (networks[name] for name in ("generator", "embedding", "decoder"))

    def energy(patches: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        embedded = h(patches, training=True)
        return mean_norm(decoder(embedded, training=True) - patches), embedded

    iterate_spectral_vectors(h)
    fake = tf.stop_gradient(generator(random.normal((count, *latent_shape)), training=True))
    energies: Losses = {}

    def loss_d() -> tf.Tensor:
        energies["energy_real"], _ = energy(x)
        energies["energy_fake"], _ = energy(fake)
        return energies["energy_real"] + tf.nn.relu(margin - energies["energy_fake"])

    loss_discriminator = context.descend(("embedding", "decoder"), loss_d)
    h_x = tf.stop_gradient(h(x, training=True)) if matching_weight else None
    terms: Losses = {}

    def loss_g() -> tf.Tensor:
        z = random.normal((count, *latent_shape))
        energy_fake, h_fake = energy(generator(z, training=True))
        terms["pulling_away"] = pulling_away(
            tf.reshape(h_fake, (count, -1)), squared=pulling_away_squared
        )
        loss = energy_fake + pulling_away_weight * terms["pulling_away"]
        return loss if h_x is None else loss + matching_weight * mean_norm(h_x - h_fake)

    for _ in range(GENERATOR_UPDATES):
        loss_generator = context.descend(("generator",), loss_g)
    return {
        "discriminator": loss_discriminator,
        "generator": loss_generator,
        **energies,
        **terms,
    }


def _settle_ebgan(
    networks: Networks, x: tf.Tensor, random: Randomness, *, latent_shape: tuple[int, ...]
) -> None:
    networks["generator"](random.normal((tf.shape(x)[0], *latent_shape)), training=True)
    networks["decoder"](networks["embedding"](x, training=True), training=True)

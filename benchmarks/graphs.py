"""The thesis's networks with seeded random weights, as the export writes them.

Latency does not depend on the weights' values; the statistics of batch normalization are settled
on the patches, so that int8 has ranges to quantize.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path

import keras
import numpy as np
import tf_keras
from chains import Chain, litert_chain
from numpy.typing import NDArray

from semedge.inference.bundle import members_of, write_bundle
from semedge.inference.manifest import (
    Intensity,
    Manifest,
    Quantization,
    ScoreChoice,
    Training,
    format_version_of,
)
from semedge.inference.network_input import PatchInput
from semedge.inference.nodes import nodes_needed
from semedge.inference.scores import tensors_needed
from semedge_trainer.detectors import make_detector
from semedge_trainer.export.fully_convolutional import fully_convolutional_nodes
from semedge_trainer.quantization.convert import convert
from semedge_trainer.quantization.deploy_model import DeployModel, to_deploy_model

Array = NDArray[np.float32]
BATCH = 32
SETTLING_STEPS = 20
FRAME_SHAPE = (700, 1024)
"""Height and width of the frames of every benchmark."""
SCORE = "comb_im"
"""A score that needs three networks: E_G, G and E_R."""


class Workshop:
    """Converts the networks when a benchmark asks for them, each form once.

    Parameters
    ----------
    patches
        Scaled patches `(n, 32, 32, 1)`, from which the ranges of int8 come.
    options
        Of the detector, such as its width; the thesis's where None.
    """

    def __init__(self, patches: Array, options: Mapping[str, str] | None = None) -> None:
        keras.utils.set_random_seed(0)
        self.detector = make_detector("sencebgan", options or {}, "fast")
        self.networks = self.detector.build()
        self.patches = patches
        for name in ("encoder", "generator", "embedding", "reconstruction_encoder"):
            inputs = self.latents if name == "generator" else patches
            for _ in range(SETTLING_STEPS):
                self.networks[name](inputs[:64], training=True)
        self.content = cache(self._convert)

    def chain(
        self,
        *names: str,
        quantization: Quantization = "int8",
        batch: int = BATCH,
        rewrite: bool = True,
        workers: int = 1,
    ) -> Chain:
        """The named networks, one after another."""
        contents = [self.content(name, quantization, batch, rewrite) for name in names]
        return litert_chain(contents, workers=workers)

    def write_detector(self, path: Path, score: str = SCORE, stride_px: int | None = None) -> None:
        """A bundle, int8, with a score and the networks that it needs, for frames of 1024x700."""
        plan = self.detector.score_plan()
        weights = dict(plan.scores[score])
        nodes = tuple(nodes_needed(plan.nodes, tensors_needed(weights)))
        graphs = {
            name: self.content(name, "int8", BATCH, True)
            for name in sorted({node.graph for node in nodes})
        }
        patch_input = PatchInput(patch_px=self.detector.patch_px)
        stride_px = stride_px or self.detector.patch_px
        nodes, tile_graphs = fully_convolutional_nodes(
            nodes, graphs, patch_input, stride_px, FRAME_SHAPE
        )
        contents = {f"{name}.tflite": graph for name, graph in (graphs | tile_graphs).items()}
        manifest = Manifest(
            format_version=format_version_of(patch_input, nodes),
            detector=self.detector.name,
            input=patch_input,
            stride_px=stride_px,
            quantization="int8",
            nodes=nodes,
            score=ScoreChoice(name=score, weights=weights),
            scores={score: weights},
            members=members_of(contents),
            training=_untrained(self.detector.name, self.detector.thesis_section),
            parity={},
        )
        write_bundle(path, manifest, contents)

    @cached_property
    def latents(self) -> Array:
        """What the generator sees: the encoder's latents of the patches."""
        latents: Array = self.networks["encoder"].predict(self.patches, verbose=0)
        return latents

    def _convert(self, name: str, quantization: Quantization, batch: int, rewrite: bool) -> bytes:
        inputs = self.latents if name == "generator" else self.patches
        deploy_model = to_deploy_model(self.networks[name], batch=batch, rewrite=rewrite)
        return convert(deploy_model, quantization, inputs)


LARGE_SIDE_PX, LARGE_CHANNELS, LARGE_KERNEL_PX = 32, 512, 3
LARGE_MULTIPLY_ADDS = LARGE_SIDE_PX**2 * LARGE_CHANNELS**2 * LARGE_KERNEL_PX**2


def large_values() -> Array:
    """What the large convolution takes."""
    shape = (1, LARGE_SIDE_PX, LARGE_SIDE_PX, LARGE_CHANNELS)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def large_convolution() -> bytes:
    """An int8 graph of one convolution, which keeps a core's multipliers as busy as can be."""
    values = large_values()
    inputs = tf_keras.Input(values.shape[1:], batch_size=1)
    layer = tf_keras.layers.Conv2D(LARGE_CHANNELS, LARGE_KERNEL_PX, padding="same")
    model = DeployModel(tf_keras.Model(inputs, layer(inputs)))
    return convert(model, "int8", values, ranges="observed")


def _untrained(detector: str, thesis_section: str) -> Training:
    return Training(
        detector=detector,
        thesis_section=thesis_section,
        schedule="none: random weights, for benchmarks",
        seed=0,
        steps={},
        learning_rates={},
        options={},
        frame_sha256=(),
        frames=1,
        intensity=Intensity(mean=0.5, standard_deviation=0.2, percentile_1=0.1, percentile_99=0.9),
        packages={},
        created_at="1980-01-01T00:00:00+00:00",
    )

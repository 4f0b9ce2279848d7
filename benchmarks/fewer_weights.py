"""What clustering and pruning by TFMOT make of a run's encoder and generator in int8.

    python benchmarks/fewer_weights.py RUN

prints, for a finished run of a patch detector, how large the graphs are once deflated, how their
`im1` ranks patches against the trained networks, and the milliseconds of a batch on one thread.
Weights are clustered and pruned as they are, without training after it.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from semedge.inference.interpreter import Graph
from semedge.inference.scaling import scale_patches
from semedge_trainer.detectors.base import ScorePlan
from semedge_trainer.export.parity import compare, keras_tensors, parity_patches
from semedge_trainer.quantization.convert import convert
from semedge_trainer.quantization.deploy_model import BATCH, DeployModel, DepthToSpace
from semedge_trainer.quantization.equalization import equalized_deploy_models, scaled_nodes
from semedge_trainer.quantization.representative import inputs_of
from semedge_trainer.quantization.tensors import exported_tensors
from semedge_trainer.training.run import Run

Array = NDArray[np.float32]
Model = tf_keras.Model

SCORE = "im1"
ROUNDS = 50
CLUSTERS = (64, 32, 16)
SPARSITIES = (0.5, 0.8)
COMPUTING = (tf_keras.layers.Conv2D, tf_keras.layers.Dense)


def clustered(model: Model, clusters: int) -> Model:
    """The model with at most `clusters` different weights a layer."""
    clustering = tfmot.clustering.keras

    def wrapped(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        return clustering.cluster_weights(
            layer,
            number_of_clusters=clusters,
            cluster_centroids_init=clustering.CentroidInitialization.KMEANS_PLUS_PLUS,
        )

    return clustering.strip_clustering(_with_layers(model, wrapped))


def pruned(model: Model, sparsity: float) -> Model:
    """The model with this share of each layer's weights, the smallest ones, at zero."""
    pruning = tfmot.sparsity.keras
    schedule = pruning.ConstantSparsity(sparsity, begin_step=0, end_step=-1, frequency=1)

    def wrapped(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        return pruning.prune_low_magnitude(layer, pruning_schedule=schedule)

    found = _with_layers(model, wrapped)
    # TFMOT prunes in a step of a training; this one moves nothing.
    found.compile(tf_keras.optimizers.SGD(0.0), "mse")
    inputs = np.zeros(found.input_shape, np.float32)
    found.fit(
        inputs,
        np.zeros(found.output_shape, np.float32),
        batch_size=BATCH,
        callbacks=[pruning.UpdatePruningStep()],
        verbose=0,
    )
    return pruning.strip_pruning(found)


def _with_layers(model: Model, wrapped: Callable[[Any], Any]) -> Model:
    """A copy whose layers that compute are wrapped."""

    def copy(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        new = type(layer).from_config(layer.get_config())
        if not isinstance(layer, COMPUTING):
            return new
        new.build(layer.input_shape)
        new.set_weights(layer.get_weights())
        return wrapped(new)

    with tf_keras.utils.custom_object_scope({"DepthToSpace": DepthToSpace}):
        return tf_keras.models.clone_model(model, clone_function=copy)


@dataclass(frozen=True)
class Subject:
    """A run whose weights are made fewer.

    Attributes
    ----------
    plan
        The score and its nodes.
    deploy_models
        Of its networks, equalized.
    inputs
        What each graph sees on training patches, scaled.
    expected
        What the trained networks make of the patches that scores are compared on.
    blurred
        Which of those were blurred flat.
    """

    plan: ScorePlan
    deploy_models: Mapping[str, DeployModel]
    inputs: Mapping[str, Array]
    expected: Mapping[str, Array]
    blurred: NDArray[np.bool_]

    @classmethod
    def of(cls, run: Run) -> Subject:
        detector, networks = run.load()
        plan = detector.chosen_plan(SCORE, only=True)
        patches = scale_patches(run.patches(), run.record.scaling)[:2048]
        tensors = keras_tensors(plan, networks, patches)
        deploy_models = equalized_deploy_models(plan, networks, tensors)
        inputs = {
            name: deploy_model.scaled(inputs_of(name, plan, tensors))
            for name, deploy_model in deploy_models.items()
        }
        compared, blurred = parity_patches(patches)
        return cls(plan, deploy_models, inputs, keras_tensors(plan, networks, compared), blurred)

    def row(self, change: Callable[[Model], Model]) -> list[str]:
        """Deflated megabytes, rank correlation, and milliseconds of each graph."""
        graphs = {
            name: convert(DeployModel(change(deploy_model.model)), "int8", self.inputs[name])
            for name, deploy_model in self.deploy_models.items()
        }
        nodes, scales = scaled_nodes(self.plan.nodes, self.deploy_models)
        given = exported_tensors(nodes, graphs, scales, self.expected["x"])
        parity = compare(self.plan, self.expected, given, {}, self.blurred)
        deflated = sum(len(zlib.compress(content, 9)) for content in graphs.values())
        times = [_batch_ms(content, self.inputs[name]) for name, content in sorted(graphs.items())]
        return [
            f"{deflated / 1e6:.2f}",
            f"{parity[SCORE].rank_correlation:.4f}",
            *(f"{each:.2f}" for each in times),
        ]


def _batch_ms(content: bytes, inputs: Array) -> float:
    graph = Graph(content, "graph")
    times_ms = []
    for _ in range(ROUNDS):
        since = time.perf_counter()
        graph.run(inputs[:BATCH])
        times_ms.append((time.perf_counter() - since) * 1e3)
    return median(times_ms)


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(run: Path) -> None:
    """Print the table for a finished RUN."""
    subject = Subject.of(Run.open(run))
    changes: dict[str, Callable[[Model], Model]] = {"as trained": lambda model: model}
    for clusters in CLUSTERS:
        changes[f"{clusters} clusters"] = lambda model, k=clusters: clustered(model, k)
    for sparsity in SPARSITIES:
        changes[f"{sparsity:.0%} zeros"] = lambda model, s=sparsity: pruned(model, s)
    table = Table(
        "weights",
        "deflated MB",
        "rank correlation",
        *(f"{name}, ms" for name in subject.plan.graphs),
    )
    for label, change in changes.items():
        table.add_row(label, *subject.row(change))
    Console().print(table)


if __name__ == "__main__":
    main()

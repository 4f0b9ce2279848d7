"""What every detector of the trainer is made of."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from semedge.core.errors import unknown_name
from semedge.inference.manifest import Node
from semedge.inference.nodes import nodes_needed
from semedge.inference.scores import tensors_needed
from semedge_trainer.components.blocks import PATCH_PX, Network
from semedge_trainer.components.losses import mean_norm
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors.options import PatchOptions

Networks = Mapping[str, Network]
Losses = dict[str, tf.Tensor]
Array = NDArray[np.float32]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class StepContext:
    """What a training step works with.

    Attributes
    ----------
    networks
        Every network of the detector by name; those that the stage does not train are frozen and
        run in inference mode.
    optimizers
        One for each network that the stage trains.
    random
        Random numbers of this step.
    progress
        Share of the stage's steps that are done, a float scalar in [0, 1); what decays, decays
        with it on every schedule.
    """

    networks: Networks
    optimizers: Mapping[str, keras.optimizers.Optimizer]
    random: Randomness
    progress: tf.Tensor

    def descend(self, names: tuple[str, ...], loss: Callable[[], tf.Tensor]) -> tf.Tensor:
        """One step of the optimizers of `names` down the gradient of `loss`; gives the loss.

        Keras's optimizers sum the gradients of all replicas, hence the division. In float16, the
        smallest gradients would be zero: they are taken of a scaled loss.
        """
        variables = {name: self.networks[name].trainable_variables for name in names}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for group in variables.values():
                tape.watch([variable.value for variable in group])
            value = loss()
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            share = loss_scale() * value / replicas
        flat = [variable for group in variables.values() for variable in group]
        gradients = tape.gradient(share, [variable.value for variable in flat])
        by_variable = iter([gradient / loss_scale() for gradient in gradients])
        for name, group in variables.items():
            self.optimizers[name].apply([next(by_variable) for _ in group], group)
        return value


def loss_scale() -> float:
    """What losses are multiplied by before their gradients are taken."""
    return FLOAT16_SCALE if keras.mixed_precision.global_policy().name == "mixed_float16" else 1.0


@dataclass(frozen=True)
class Stage:
    """One stage of a training: some networks move, the others are frozen.

    Attributes
    ----------
    name
        Name of the stage in logs and folders.
    learning_rates
        Learning rate of each network that the stage trains.
    step
        One training step on patches `(batch, 32, 32, 1)`; gives its losses by name.
    settle
        Runs each trained network in training mode on the data that it will see when it scores,
        for the batch-normalization statistics to settle on.
    watched
        What early stopping watches of patches `(n, 32, 32, 1)` held out, by the networks in
        inference mode: their mean error or energy. A stage without it is never stopped early.
    """

    name: str
    learning_rates: Mapping[str, float]
    step: Callable[[StepContext, tf.Tensor], Losses]
    settle: Callable[[Networks, tf.Tensor, Randomness], None]
    watched: Callable[[Networks, tf.Tensor], tf.Tensor] | None = None


FLOAT16_SCALE = 128.0
EPOCH_STEPS = 800
"""Of 64 patches: the author's code's 51,200 crops."""
APPENDIX_STEPS = 50 * EPOCH_STEPS
"""Every table of appendix A says 50 epochs."""


@dataclass(frozen=True)
class Schedule:
    """How long each stage trains, and how fast.

    A detector has schedules by name. `appendix`: 50 epochs a stage at the rates of appendix A;
    `author`: epochs of the author's code, where they are others; `fast`: minutes.

    Attributes
    ----------
    steps
        Steps of each stage.
    learning_rates
        Learning rate of each network.
    batch
        Patches a step.
    """

    steps: Mapping[str, int]
    learning_rates: Mapping[str, float]
    batch: int = 64

    def faster(self, factor: float) -> Schedule:
        """The same steps at learning rates that are all multiplied by `factor`.

        What one network's rate is to another's decides the game between a generator and its
        discriminator, so that it is the same on every schedule.
        """
        rates = {name: factor * rate for name, rate in self.learning_rates.items()}
        return dataclasses.replace(self, learning_rates=rates)

    def shortened(self, steps: int | None) -> Schedule:
        """The same schedule with its stages shortened in proportion to `steps` in all."""
        if steps is None:
            return self
        total = sum(self.steps.values())
        shares = {name: max(1, round(count * steps / total)) for name, count in self.steps.items()}
        return dataclasses.replace(self, steps=shares)


FIT_SCHEDULES: Mapping[str, Schedule] = {
    "appendix": Schedule({"fit": EPOCH_STEPS}, {}),
    "fast": Schedule({"fit": 200}, {}),
}
"""Schedules of detectors that are fitted without gradients: one epoch of batches, or less."""


def node(output: str, graph: str, *inputs: str) -> Node:
    """The tensor `output` as what the network `graph` makes of the tensors `inputs`, joined."""
    return Node(output=output, graph=graph, inputs=inputs)


@dataclass(frozen=True)
class ScorePlan:
    """How the edge computes a detector's scores.

    Attributes
    ----------
    nodes
        Which network turns which tensors into which.
    scores
        Every named score, as weights of the elementary scores of `semedge.inference.scores`.
    default
        Name of the score that a frame is judged by unless another is chosen.
    """

    nodes: tuple[Node, ...] = ()
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    default: str = ""

    @property
    def graphs(self) -> tuple[str, ...]:
        """Names of the networks that the scores need, sorted."""
        return tuple(sorted({node.graph for node in self.nodes}))

    def chosen(self, name: str, *, only: bool) -> ScorePlan:
        """The plan with `name` as its default and, where `only`, without all other scores."""
        if not only:
            return dataclasses.replace(self, default=name)
        needed = tensors_needed(self.scores[name])
        nodes = tuple(nodes_needed(self.nodes, needed))
        return ScorePlan(nodes, {name: self.scores[name]}, name)


LatentSearch = Callable[[tf.Tensor, int, int], tf.Tensor]
"""A score that takes a search for the latent of every patch.

From patches `(batch, 32, 32, 1)`, the steps of the search, and the seed of where it starts, to
scores `(batch,)`, or to what the search ends with.
"""


class Fitting(Protocol):
    """A fit under way: it is shown batches of normal patches, and ends in arrays."""

    def take(self, patches: Array) -> dict[str, float]:
        """Take patches `(n, 32, 32, 1)` in [-1, 1]; gives what the log shows."""

    def arrays(self) -> Arrays:
        """What was fitted, by the names that scores have for it."""


class TrainableDetector(ABC):
    """What every detector has: its networks by name, and its scores.

    What only some have is in the classes below. A detector derives from those that it is:
    `TrainedDetector`, `FittedDetector`, `SearchedDetector`, or the `FrameDetector` of
    `whole_frame.py`; and from `Reconstructing`, `Sampling` and `FineTunable` as it can.
    """

    name: ClassVar[str]
    thesis_section: ClassVar[str]
    options_class: ClassVar[type]
    schedules: ClassVar[Mapping[str, Schedule]]
    patch_px: int = PATCH_PX
    """Side of the patches; what `PatchOptions` say, where the options have them."""

    def __init__(self, options: Any, schedule: Schedule) -> None:
        self.options = options
        self.schedule = schedule
        if isinstance(options, PatchOptions):
            self.patch_px = options.patch_px

    @abstractmethod
    def build(self) -> dict[str, Network]:
        """Every network by name, with fresh weights."""

    @abstractmethod
    def score_plan(self) -> ScorePlan:
        """How the edge computes the scores."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """Every score, the default first."""
        plan = self.score_plan()
        return (plan.default, *(name for name in plan.scores if name != plan.default))

    def chosen_plan(self, name: str | None, *, only: bool) -> ScorePlan:
        """The plan with `name`, or its own default, as its default; see `ScorePlan.chosen`."""
        plan = self.score_plan()
        name = name or plan.default
        if name not in plan.scores:
            raise unknown_name(f"{self.name} has no score", name, "it has", plan.scores)
        return plan.chosen(name, only=only)

    def rates(self, *names: str) -> dict[str, float]:
        """Learning rates of some networks by the schedule."""
        return {name: self.schedule.learning_rates[name] for name in names}


class TrainedDetector(TrainableDetector):
    """A detector whose networks are trained by gradients, stage by stage."""

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The stages in order."""


class FittedDetector(TrainableDetector):
    """A detector whose arrays are fitted to batches of normal patches, when any stages are done."""

    def build(self) -> dict[str, Network]:
        """No network, unless a detector has some."""
        return {}

    @abstractmethod
    def fitting(self, networks: Networks, seed: int) -> Fitting:
        """The fit; the schedule's `fit` is the number of its batches."""


class SearchedDetector(TrainableDetector):
    """A detector whose scores take a search for the latent of every patch.

    No TFLite graph can do the search: such a detector is measured in TensorFlow and not exported.
    """

    edge_refusal: ClassVar[str]
    """Why it cannot be exported, and what to do instead, in one sentence."""
    searched_scores: ClassVar[tuple[str, ...]]
    """Its scores, the default first."""

    def score_plan(self) -> ScorePlan:
        """Empty: the edge computes none of its scores."""
        return ScorePlan()

    @property
    def score_names(self) -> tuple[str, ...]:
        """The searched scores."""
        return self.searched_scores

    @abstractmethod
    def search(self, networks: Networks, batch: int, score_name: str) -> LatentSearch:
        """A searched score, for batches of `batch` patches."""

    @abstractmethod
    def search_reconstruction(self, networks: Networks, batch: int) -> LatentSearch:
        """What the default score's search paints of each patch, of the patches' shape."""


class Reconstructing(ABC):
    """Networks that paint a patch again."""

    @abstractmethod
    def reconstruct(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """G(E(x)) in inference mode, shape of the patches."""

    def missed(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """Mean of ||x - G(E(x))||, for a stage to be stopped by."""
        return mean_norm(self.reconstruct(networks, patches) - patches)


class Sampling:
    """A `generator` that paints patches from random latents."""

    def sample(self, networks: Networks, z: tf.Tensor) -> tf.Tensor:
        """G(z) in inference mode for latents `(n, 256)`."""
        return networks["generator"](z, training=False)


class FineTunable(ABC):
    """Networks whose training can go on while TFMOT rounds as int8 will."""

    @abstractmethod
    def fine_tuning_loss(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """The detector's own losses on quantization-aware deploy models, all trained at once."""

"""The training loop: stages, averaged weights, checkpoints, resume, logs.

A training is a function of its record and frames: crops and noise depend on the seed and the step
alone, so one that was killed and resumed ends with the weights of one that was not.

Each network is averaged with an exponential moving average while it trains, every tenth step, as
the author's code does every step: averaging costs as much as Adam. At the end of a stage the
averages take the networks' place, batch-normalization statistics settle on what the network
will see when it scores, and the next stage starts from there: no score mixes raw and averaged
weights.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import tensorflow as tf

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge_trainer.components.blocks import Network
from semedge_trainer.components.optimizer import FusedAdam
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors.base import (
    Losses,
    Stage,
    StepContext,
    TrainableDetector,
    TrainedDetector,
)
from semedge_trainer.training.devices import mixed_policy
from semedge_trainer.training.frames import TrainingFrames
from semedge_trainer.training.gallery import gallery
from semedge_trainer.training.patches import patch_dataset
from semedge_trainer.training.progress import LOG_EVERY, StageLog
from semedge_trainer.training.run import Run
from semedge_trainer.training.validation import Validation

logger = logging.getLogger(__name__)

AVERAGE_EVERY = 10
AVERAGE_DECAY = 0.999**AVERAGE_EVERY
"""The author's code's 0.999 a step."""
WARM_UP_AVERAGES = 10
ADAM_BETA_1 = 0.5
ADAM_BETA_2 = 0.999
SETTLE_BATCHES = 20
SETTLE_SEED = 7919
GALLERY_PATCHES = 16
NOT_DIVERGED = -1


class TrainingDivergedError(SemedgeError):
    """A loss became NaN or infinite."""


class StageTraining:
    """One stage of a run, with its state in checkpoints.

    Parameters
    ----------
    run, detector, networks
        What is trained.
    stage
        The stage of it.
    strategy
        Where the replicas are.
    jit_compile
        Whether XLA compiles a step.
    held_out
        Frames to validate on; None where there are none.
    """

    def __init__(
        self,
        run: Run,
        detector: TrainableDetector,
        networks: Mapping[str, Network],
        stage: Stage,
        strategy: tf.distribute.Strategy,
        *,
        jit_compile: bool = False,
        held_out: TrainingFrames | None = None,
    ) -> None:
        self._run = run
        self._detector = detector
        self._networks = networks
        self._stage = stage
        self._strategy = strategy
        with strategy.scope():
            self._optimizers = {
                name: _optimizer(rate, networks[name])
                for name, rate in stage.learning_rates.items()
            }
            self._averages = {
                name: [
                    tf.Variable(variable.value, trainable=False) for variable in _moving(network)
                ]
                for name, network in networks.items()
                if name in stage.learning_rates
            }
            self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
            self._diverged_at = tf.Variable(NOT_DIVERGED, dtype=tf.int64, trainable=False)
        self._validation = None if held_out is None else self._watch(held_out)
        checkpoint = tf.train.Checkpoint(
            step=self._step,
            networks=dict(networks),
            optimizers=self._optimizers,
            averages=self._averages,
            dropout_seeds=_dropout_seeds(networks),
            **({} if self._validation is None else {"validation": self._validation}),
        )
        self._manager = tf.train.CheckpointManager(
            checkpoint, str(checkpoint_folder(run.folder, stage.name)), max_to_keep=2
        )
        self._train_step = tf.function(
            self._distributed_step, autograph=False, jit_compile=jit_compile or None
        )

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self._step.numpy())

    @property
    def steps(self) -> int:
        """Steps to do."""
        return self._detector.schedule.steps[self._stage.name]

    def restore(self) -> None:
        """Go on from the newest checkpoint of the stage."""
        checkpoint = self._manager.latest_checkpoint
        try:
            self._manager.checkpoint.restore(checkpoint).assert_existing_objects_matched()
        except (ValueError, AssertionError, tf.errors.OpError) as error:
            raise SemedgeError(
                f"The checkpoint {checkpoint} cannot be read; delete that folder's newest "
                "checkpoint and resume from the one before."
            ) from error

    def save(self) -> None:
        """Write a checkpoint; the one before stays until this one is whole.

        Raises `TrainingDivergedError` where a loss of a step since then was not finite.
        """
        self._check_convergence()
        try:
            self._manager.save(checkpoint_number=self.step)
        except tf.errors.OpError as error:
            raise SemedgeError(
                f"No checkpoint could be written to {self._run.folder} "
                f"({error.message.splitlines()[0]}); free some space, then continue with --resume."
            ) from error

    def train(self, frames: TrainingFrames, log: StageLog, *, save_every: int) -> None:
        """Train to the end of the stage, or until the patches held out get no better.

        Losses stay on their device until a step is reported, so that the host prepares the next
        steps while a GPU computes.

        Raises `TrainingDivergedError` at the first report after a loss that is not finite; the
        last checkpoint, whose losses were, stays.
        """
        dataset = self._dataset(frames)
        distributed = iter(self._strategy.experimental_distribute_dataset(dataset))
        samples = next(iter(self._dataset(frames, first_step=0)))[:GALLERY_PATCHES]
        for step in range(self.step + 1, self.steps + 1):
            if self._validation is not None and self._validation.ends(step - 1):
                logger.info(f"{self._stage.name} ends after {step - 1} steps by the validation.")
                break
            losses = self._train_step(next(distributed))
            saved = step % save_every == 0 or step == self.steps
            drawn = step % log.picture_every == 0 or step == self.steps
            if saved or drawn or step % LOG_EVERY == 0:
                self._check_convergence()
                log.record(step, {name: float(value) for name, value in losses.items()})
            if self._validation is not None:
                self._validation.take(step)
            if saved:
                self.save()
            if drawn:
                self._draw(samples, step)

    def finish(self, frames: TrainingFrames) -> None:
        """Put the averages in place and let the batch-normalization statistics settle."""
        for name, averages in self._averages.items():
            for variable, average in zip(_moving(self._networks[name]), averages, strict=True):
                variable.assign(average)
        settle(self._detector, self._stage, self._networks, self._dataset(frames, first_step=0))

    def _dataset(self, frames: TrainingFrames, first_step: int | None = None) -> tf.data.Dataset:
        record = self._run.record
        return patch_dataset(
            frames,
            patch_px=self._detector.patch_px,
            batch=record.batch,
            seed=record.seed,
            first_step=self.step if first_step is None else first_step,
            scaling=record.scaling,
        )

    def _watch(self, held_out: TrainingFrames) -> Validation | None:
        if self._stage.watched is None:
            return None
        return Validation(
            self._stage.watched,
            self._networks,
            self._dataset(held_out, first_step=0),
            self._run.record.patience,
            self._run.folder / "logs" / f"{self._stage.name}-validation.csv",
        )

    def _check_convergence(self) -> None:
        step = int(self._diverged_at.numpy())
        if step != NOT_DIVERGED:
            raise TrainingDivergedError(
                f"Stage {self._stage.name} diverged at step {step} (a loss is NaN or infinite); "
                f"the checkpoint before it is in {self._run.folder}: start a new run with a "
                "smaller learning rate or another seed."
            )

    def _distributed_step(self, patches: tf.Tensor) -> Losses:
        step = self._step
        per_replica = self._strategy.run(self._replica_step, args=(patches, step))
        losses = {
            name: self._strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
            for name, value in per_replica.items()
        }
        done = step.assign_add(1)
        self._note_divergence(losses, done)
        due = (done % AVERAGE_EVERY == 0) | (done == self.steps)
        tf.cond(due, lambda: self._average(done), lambda: tf.constant(0))
        return losses

    def _note_divergence(self, losses: Losses, done: tf.Tensor) -> None:
        """Remember the first step with a loss that is not finite."""
        finite = tf.reduce_all([tf.math.is_finite(value) for value in losses.values()])
        first = ~finite & (self._diverged_at == NOT_DIVERGED)
        self._diverged_at.assign(tf.where(first, done, self._diverged_at))

    def _average(self, done: tf.Tensor) -> tf.Tensor:
        """Move the averages towards the weights; the first ones move most of the way."""
        count = tf.math.ceil(tf.cast(done, tf.float32) / AVERAGE_EVERY)
        decay = tf.minimum(AVERAGE_DECAY, count / (count + WARM_UP_AVERAGES))
        for name, averages in self._averages.items():
            for variable, average in zip(_moving(self._networks[name]), averages, strict=True):
                self._strategy.extended.update(
                    average,
                    lambda mean, value: mean.assign(decay * mean + (1.0 - decay) * value),
                    args=(variable.value,),
                )
        return tf.constant(0)

    def _replica_step(self, patches: tf.Tensor, step: tf.Tensor) -> Losses:
        context = tf.distribute.get_replica_context()
        random = Randomness(self._run.record.seed, step, context.replica_id_in_sync_group)
        progress = tf.cast(step, tf.float32) / self.steps
        return self._stage.step(
            StepContext(self._networks, self._optimizers, random, progress), patches
        )

    def _draw(self, samples: tf.Tensor, step: int) -> None:
        picture = gallery(self._detector, self._networks, samples, self._run.record.seed)
        name = f"{self._stage.name}-{step:06d}.png"
        write_atomically(self._run.folder / "pictures" / name, picture)


def settle(
    detector: TrainableDetector,
    stage: Stage,
    networks: Mapping[str, Network],
    dataset: tf.data.Dataset,
) -> None:
    """Set batch-normalization statistics to their mean over some batches.

    While a network trains, its statistics trail its weights and, in a discriminator, mix real with
    generated patches; the scores see real ones.
    """
    layers = [
        layer
        for name in stage.learning_rates
        for layer in networks[name].layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in layers]
    for index, patches in enumerate(dataset.take(SETTLE_BATCHES)):
        for layer in layers:
            layer.momentum = index / (index + 1)
        stage.settle(networks, patches, Randomness(SETTLE_SEED, tf.constant(index)))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def train(
    run: Run,
    frames: TrainingFrames,
    strategy: tf.distribute.Strategy,
    make_log: Callable[[Run, str, int], StageLog],
    *,
    save_every: int = 200,
    jit_compile: bool = False,
) -> dict[str, Network]:
    """Train every stage of a run from where it stands; gives the networks."""
    if run.record.mixed_precision:
        keras.mixed_precision.set_global_policy(mixed_policy(strategy))
    keras.utils.set_random_seed(run.record.seed)
    detector = run.detector()
    with strategy.scope():
        networks = detector.build()
    stages = detector.stages() if isinstance(detector, TrainedDetector) else ()
    held_out = None
    if run.record.validation_share:
        frames, held_out = frames.split(run.record.validation_share, detector.patch_px)
    first = _stage_reached(run.folder, stages)
    for index, stage in enumerate(stages):
        if index < first:
            continue
        training = StageTraining(
            run,
            detector,
            networks,
            stage,
            strategy,
            jit_compile=jit_compile,
            held_out=held_out,
        )
        if index == first and has_checkpoint(run.folder, stage.name):
            training.restore()
        else:
            training.save()
        with make_log(run, stage.name, training.steps) as log:
            log.start(training.step)
            try:
                training.train(frames, log, save_every=save_every)
            except KeyboardInterrupt:
                training.save()
                raise
        training.finish(frames)
    return networks


def checkpoint_folder(run_folder: Path, stage_name: str) -> Path:
    """Where the checkpoints of a stage are."""
    return run_folder / "checkpoints" / stage_name


def has_checkpoint(run_folder: Path, stage_name: str) -> bool:
    """Whether the stage was started."""
    return tf.train.latest_checkpoint(str(checkpoint_folder(run_folder, stage_name))) is not None


def _stage_reached(run_folder: Path, stages: tuple[Stage, ...]) -> int:
    """Index of the last stage that has a checkpoint, or 0."""
    reached = [
        index for index, stage in enumerate(stages) if has_checkpoint(run_folder, stage.name)
    ]
    return max(reached, default=0)


def _optimizer(rate: float, network: Network) -> keras.optimizers.Optimizer:
    optimizer = FusedAdam(rate, beta_1=ADAM_BETA_1, beta_2=ADAM_BETA_2)
    optimizer.build(network.trainable_variables)
    return optimizer


def _moving(network: Network) -> list[keras.Variable]:
    """The variables that a training moves, statistics and spectral vectors included."""
    return list(network.weights)


def _dropout_seeds(networks: Mapping[str, Network]) -> list[tf.Variable]:
    """The states that dropout draws from, which Keras leaves out of checkpoints."""
    return [
        variable.value
        for network in networks.values()
        for layer in network.layers
        if isinstance(layer, keras.layers.Dropout)
        for variable in layer.variables
    ]

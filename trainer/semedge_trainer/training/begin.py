"""Begins a training, for the command and for Python programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semedge_trainer.extra import need_tensorflow

if TYPE_CHECKING:
    import tensorflow as tf

    from semedge_trainer.training.frames import TrainingFrames
    from semedge_trainer.training.run import Run


@dataclass(frozen=True)
class BegunTraining:
    """A training that can be finished.

    Attributes
    ----------
    run
        Its run folder.
    frames
        The frames that it trains on.
    strategy
        The devices that it trains on.
    """

    run: Run
    frames: TrainingFrames
    strategy: tf.distribute.Strategy

    def finish(self, jit_compile: bool | None = None) -> None:
        """Train to the end, unless that was done before.

        `jit_compile` is whether XLA compiles a training step; on a GPU alone where None.
        """
        from semedge_trainer.training.train import finish_run

        if not self.run.finished:
            finish_run(self.run, self.frames, self.strategy, jit_compile=jit_compile)


def begin_training(
    folder: Path,
    source: str | None,
    devices: Sequence[str] | None,
    *,
    resume: bool,
    deterministic: bool,
    **wanted: Any,
) -> BegunTraining:
    """Load TensorFlow, and start a run folder or open one again.

    Parameters
    ----------
    folder
        The run folder.
    source
        Normal frames: a folder, a glob or a file; those of the run where it is resumed with None.
    devices
        As `choose_strategy` takes them.
    resume
        Whether the folder has a run that is continued.
    deterministic
        Whether every operation gives the same numbers each time.
    wanted
        The other fields of `TrainingRequest`, for a new run.

    Raises
    ------
    SemedgeError
        Where the frames, the options, the devices or the run folder cannot be used.
    """
    need_tensorflow(deterministic=deterministic)
    from semedge_trainer.training.devices import choose_strategy
    from semedge_trainer.training.train import TrainingRequest, resume_run, start_run

    strategy = choose_strategy(devices)
    if resume:
        run, frames = resume_run(folder, source)
    else:
        run, frames = start_run(folder, TrainingRequest(source=str(source), **wanted))
    return BegunTraining(run, frames, strategy)

"""TensorFlow set up as the commands set it up, with two logical CPU devices, and a small run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bundles import tiny_bundle
from commandcall import Call, Result
from evaluated import Evaluate, Folders, make_folders

from semedge_trainer.extra import need_tensorflow


def _two_devices() -> None:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration(), tf.config.LogicalDeviceConfiguration()]
    )


need_tensorflow(configure=_two_devices)

import tensorflow as tf  # noqa: E402
from trained import Trained  # noqa: E402

from semedge.core.files import write_atomically  # noqa: E402
from semedge_trainer.training import loop  # noqa: E402
from semedge_trainer.training import train as training  # noqa: E402
from semedge_trainer.training.devices import choose_strategy  # noqa: E402
from semedge_trainer.training.frames import TrainingFrames  # noqa: E402
from semedge_trainer.training.run import Run  # noqa: E402
from semedge_trainer.training.train import TrainingRequest  # noqa: E402

StartRun = Callable[..., tuple[Run, TrainingFrames]]

SHORT_REQUEST = TrainingRequest(
    "sencebgan", "sim:5?frames=2", {"xx": "true", "zz": "true", "width": "0.5"}, steps=6, seed=3
)
BATCH = 8
SAMPLE_PATCHES = 1024
"""As many as the export compares on."""


@pytest.fixture(scope="session", autouse=True)
def _short_ways() -> Iterator[None]:
    """Optimize no graph, as each runs a handful of times, and settle on a few batches."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "SETTLE_BATCHES", 3)
        yield


@pytest.fixture(scope="session")
def start_small_run() -> StartRun:
    """Starts a run like any other, but of small batches and with few sampled patches."""

    def start(
        folder: Path, request: TrainingRequest, batch: int = BATCH
    ) -> tuple[Run, TrainingFrames]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "SAMPLE_PATCHES", SAMPLE_PATCHES)
            run, frames = training.start_run(folder, request)
        record = run.record.model_copy(update={"batch": batch})
        write_atomically(folder / "run.json", record.model_dump_json().encode())
        return Run.open(folder), frames

    return start


@pytest.fixture(scope="session")
def short_run(tmp_path_factory: pytest.TempPathFactory, start_small_run: StartRun) -> Path:
    """A finished SENCEBGAN run of a few steps on simulated frames, pair discriminators on.

    Tests read it and change nothing in it.
    """
    folder = tmp_path_factory.mktemp("runs") / "sencebgan"
    run, frames = start_small_run(folder, SHORT_REQUEST)
    training.finish_run(run, frames, choose_strategy(["cpu:0"]))
    return folder


@pytest.fixture(scope="session")
def trained(short_run: Path) -> Trained:
    """The networks of that run; tests change nothing of them."""
    return Trained(short_run)


@pytest.fixture(scope="session")
def anogan_run(tmp_path_factory: pytest.TempPathFactory, start_small_run: StartRun) -> Path:
    """A finished AnoGAN run of two steps on simulated frames; tests change nothing in it."""
    folder = tmp_path_factory.mktemp("runs") / "anogan"
    run, frames = start_small_run(folder, TrainingRequest("anogan", "sim:5?frames=2", {}, steps=2))
    training.finish_run(run, frames, choose_strategy(["cpu:0"]))
    return folder


@pytest.fixture(scope="session")
def bundle_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny detector bundle."""
    return tiny_bundle(tmp_path_factory.mktemp("evaluated") / "tiny.semedge")


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Three frames with a film on them and one normal frame."""
    return make_folders(tmp_path)


@pytest.fixture
def evaluate(call: Call, bundle_file: Path, folders: Folders) -> Evaluate:
    """Calls `semedge evaluate` on the frames, with the tiny detector by default."""

    def run(*arguments: object, detector: bool = True) -> Result:
        chosen = ("--detector", bundle_file) if detector else ()
        return call("evaluate", *folders.given, *chosen, *arguments)

    return run

"""Stages freeze what they must, a resumed training ends like an unbroken one, NaN stops it."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import some_patches

from semedge.core.errors import SemedgeError
from semedge_trainer.components.blocks import Network, convolve, dense
from semedge_trainer.components.losses import mean_norm
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors import DETECTORS, make_detector
from semedge_trainer.detectors.base import Networks, Stage, StepContext
from semedge_trainer.training.devices import choose_strategy
from semedge_trainer.training.frames import TrainingFrames
from semedge_trainer.training.loop import TrainingDivergedError, has_checkpoint, train
from semedge_trainer.training.progress import StageLog
from semedge_trainer.training.run import Run
from semedge_trainer.training.train import (
    TrainingRequest,
    finish_run,
    resume_run,
    start_run,
)

SOURCE = "sim:5?frames=2"
StartRun = Callable[..., tuple[Run, TrainingFrames]]
NARROW = {"width": "0.25"}
"""Networks of a quarter of the filters, which move as those of all of them do."""
OPTIONS = [
    ("sencebgan", {}),
    (
        "sencebgan",
        {"xx": "true", "zz": "true", "feature_term": "decoded", "soft_labels": "true", **NARROW},
    ),
    ("sencebgan", {"xx": "true", "instance_noise": "true", "label_flipping": "random", **NARROW}),
    ("anogan", {"instance_noise": "true", "soft_labels": "true"}),
    ("f-anogan", {}),
    ("encebgan", {}),
    ("sencebgan", {"denoiser": "true", **NARROW}),
    ("autoencoder", {"kind": "regularized"}),
    ("autoencoder", {"kind": "variational"}),
    ("ganomaly", {"instance_noise": "true", "soft_labels": "true"}),
    ("skip-ganomaly", {"instance_noise": "true", "label_flipping": "random"}),
    ("bigan", {}),
    ("ali", {"instance_noise": "true", "label_flipping": "random"}),
    ("alad", {"soft_labels": "true"}),
]

LAST_LAYERS = ("logit", "logit_xx", "logit_zz", "critic")
"""Their bias may be left where it is: what pulls it up is as strong as what pulls it down."""


def optimizers_of(stage: Stage, networks: Networks) -> dict[str, keras.optimizers.Optimizer]:
    optimizers = {name: keras.optimizers.Adam(rate) for name, rate in stage.learning_rates.items()}
    for name, optimizer in optimizers.items():
        optimizer.build(networks[name].trainable_variables)
    return optimizers


def weights_of(networks: Networks) -> dict[str, list[np.ndarray]]:
    return {
        name: [variable.value.numpy() for variable in network.weights]
        for name, network in networks.items()
    }


def split(strategy: tf.distribute.Strategy, patches: tf.Tensor) -> object:
    """The patches, an equal share for each replica."""
    parts = tf.split(patches, strategy.num_replicas_in_sync)
    return strategy.experimental_distribute_values_from_function(
        lambda context: parts[context.replica_id_in_sync_group]
    )


@pytest.fixture
def mixed_precision() -> Iterator[None]:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize(("name", "settings"), OPTIONS)
def test_a_stage_moves_its_own_networks_and_no_other(name: str, settings: dict[str, str]) -> None:
    detector = make_detector(name, settings, "fast")
    networks = detector.build()
    for stage in detector.stages():
        before = weights_of(networks)
        random = Randomness(1, tf.constant(0))
        context = StepContext(networks, optimizers_of(stage, networks), random, tf.constant(0.0))
        losses = stage.step(context, some_patches())
        assert all(np.isfinite(float(value)) for value in losses.values())
        after = weights_of(networks)
        for network_name, network in networks.items():
            pairs = zip(after[network_name], before[network_name], strict=True)
            moved = [bool((new != old).any()) for new, old in pairs]
            if network_name in stage.learning_rates:
                trainable = {id(variable) for variable in network.trainable_variables}
                weights = [
                    flag
                    for flag, variable in zip(moved, network.weights, strict=True)
                    if id(variable) in trainable and network_name not in LAST_LAYERS
                ]
                assert all(weights), (stage.name, network_name)
            else:
                assert not any(moved), (stage.name, network_name)


def test_a_training_killed_twice_and_resumed_ends_like_an_unbroken_one(
    tmp_path: Path, short_run: Path
) -> None:
    between_stages = tmp_path / "killed"
    between_stages.mkdir()
    for name in ("run.json", "patches.npy"):
        shutil.copy(short_run / name, between_stages)
    shutil.copytree(short_run / "checkpoints/ebgan", between_stages / "checkpoints/ebgan")
    killed, frames = resume_run(between_stages, None)
    assert killed.record.steps == {"ebgan": 2, "encoder": 3, "reconstruction": 1}

    class Killed(BaseException):
        pass

    class KillingLog(StageLog):
        def record(self, step: int, losses: dict[str, float]) -> None:
            super().record(step, losses)
            if self._stage_name == "encoder" and step == 2:
                raise Killed

    with pytest.raises(Killed):
        train(
            killed,
            frames,
            choose_strategy(["cpu:0"]),
            lambda run, stage, steps: KillingLog(run.folder, stage, steps, 100),
            save_every=1,
        )
    assert not killed.finished
    with pytest.raises(SemedgeError, match=str(killed.folder)):
        killed.load()
    resumed, frames = resume_run(killed.folder, None)
    finish_run(resumed, frames, choose_strategy(["cpu:0"]))
    weights = weights_of(resumed.load()[1])
    for name, expected in weights_of(Run.open(short_run).load()[1]).items():
        for value, wanted in zip(weights[name], expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_kill_9_leaves_a_run_that_resumes(tmp_path: Path, start_small_run: StartRun) -> None:
    folder = tmp_path / "run"
    start_small_run(folder, TrainingRequest("anogan", SOURCE, {}, steps=4000))
    command = [sys.executable, "-m", "semedge", "train", "--resume", "--out", str(folder)]
    log = (tmp_path / "log").open("wb")
    child = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline_s = time.monotonic() + 120
        losses = folder / "logs" / "gan.csv"
        while time.monotonic() < deadline_s and not (
            losses.exists() and len(losses.read_text().splitlines()) > 1
        ):
            assert child.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.2)
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.kill()
        child.wait(10)
        log.close()
    assert has_checkpoint(folder, "gan")
    run, _ = resume_run(folder, None)
    assert not run.finished
    rows = list(csv.reader(losses.read_text().splitlines()))
    assert rows[0][:2] == ["step", "seconds"]
    assert rows[1][0] == "10"


def test_a_loss_that_is_no_number_stops_the_training(
    tmp_path: Path, start_small_run: StartRun
) -> None:
    run, frames = start_small_run(tmp_path / "run", TrainingRequest("anogan", SOURCE, {}, steps=4))
    record = run.record.model_copy(
        update={"learning_rates": {"generator": 1e30, "features": 1e30, "logit": 1e30}}
    )
    with pytest.raises(TrainingDivergedError, match=r"gan.* step \d"):
        finish_run(Run(run.folder, record), frames, choose_strategy(["cpu:0"]))
    assert has_checkpoint(run.folder, "gan")
    assert not run.finished


def test_two_devices_share_a_training(tmp_path: Path, start_small_run: StartRun) -> None:
    run, frames = start_small_run(
        tmp_path / "run", TrainingRequest("anogan", SOURCE, {}, steps=2), batch=2
    )
    strategy = choose_strategy(["cpu:0", "cpu:1"])
    assert strategy.num_replicas_in_sync == 2
    finish_run(run, frames, strategy)
    weights = weights_of(run.load()[1])
    assert all(np.isfinite(array).all() for group in weights.values() for array in group)


def test_two_devices_hold_the_same_weights_after_every_stage() -> None:
    detector = make_detector("sencebgan", {"xx": "true", "zz": "true", **NARROW}, "fast")
    strategy = choose_strategy(["cpu:0", "cpu:1"])
    with strategy.scope():
        networks = detector.build()
    patches = split(strategy, some_patches(8))
    for stage in detector.stages():
        with strategy.scope():
            optimizers = optimizers_of(stage, networks)

        def step(
            x: tf.Tensor,
            stage: Stage = stage,
            optimizers: dict[str, keras.optimizers.Optimizer] = optimizers,
        ) -> None:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            random = Randomness(1, tf.constant(0), replica)
            stage.step(StepContext(networks, optimizers, random, tf.constant(0.0)), x)

        before = weights_of(networks)
        strategy.run(step, args=(patches,))
        for name in stage.learning_rates:
            for variable in networks[name].weights:
                if "moving_" in variable.path:
                    continue  # each replica has its own until the end of the stage settles them
                first, second = strategy.experimental_local_results(variable.value)
                assert (first.numpy() == second.numpy()).all(), (stage.name, variable.path)
            assert (networks[name].weights[0].value.numpy() != before[name][0]).any()


def test_two_devices_take_the_gradient_of_the_whole_batch() -> None:
    x = some_patches(8)

    def moved(devices: list[str], patches: tf.Tensor) -> list[np.ndarray]:
        """The weights after one step of gradient descent of rate 1."""
        strategy = choose_strategy(devices)
        keras.utils.set_random_seed(3)
        with strategy.scope():
            network = encoder_half()
            optimizer = keras.optimizers.SGD(1.0)
            optimizer.build(network.trainable_variables)
        context = StepContext(
            {"n": network}, {"n": optimizer}, Randomness(1, tf.constant(0)), tf.constant(0.0)
        )

        def step(values: tf.Tensor) -> None:
            context.descend(("n",), lambda: mean_norm(network(values, training=False) - 0.5))

        tf.function(lambda: strategy.run(step, args=(split(strategy, patches),)))()
        return weights_of({"n": network})["n"]

    alone = moved(["cpu:0"], x)
    together = moved(["cpu:0", "cpu:1"], x)
    half = moved(["cpu:0"], x[:4])
    for index, expected in enumerate(alone):
        assert together[index] == pytest.approx(expected, abs=1e-5)
        assert half[index] != pytest.approx(expected, abs=1e-3)


def encoder_half() -> Network:
    """Layers of the encoders without batch normalization, which sees its own replica's half."""
    patches = keras.Input((32, 32, 1))
    values = convolve("conv1", patches, 8, 5, batch_norm=False)
    values = convolve("conv2", values, 16, 5, batch_norm=False)
    return keras.Model(patches, dense("latent", keras.layers.Flatten()(values), 16))


def test_mixed_precision_trains(tmp_path: Path, start_small_run: StartRun) -> None:
    run, frames = start_small_run(
        tmp_path / "run",
        TrainingRequest("anogan", SOURCE, {}, steps=2, mixed_precision=True),
        batch=2,
    )
    try:
        finish_run(run, frames, choose_strategy(["cpu:0"]))
        assert keras.mixed_precision.global_policy().name == "mixed_bfloat16"
    finally:
        keras.mixed_precision.set_global_policy("float32")
    weights = weights_of(run.load()[1])
    assert all(array.dtype == np.float32 for group in weights.values() for array in group)


@pytest.mark.usefixtures("mixed_precision")
def test_every_stage_steps_in_mixed_precision() -> None:
    detector = make_detector("sencebgan", {"xx": "true", "zz": "true", **NARROW}, "fast")
    networks = detector.build()
    assert networks["embedding"].get_layer("conv1").compute_dtype == "bfloat16"
    for stage in detector.stages():
        before = weights_of(networks)
        random = Randomness(1, tf.constant(0))
        context = StepContext(networks, optimizers_of(stage, networks), random, tf.constant(0.0))
        losses = stage.step(context, some_patches())
        assert all(value.dtype == tf.float32 for value in losses.values())
        assert all(np.isfinite(float(value)) for value in losses.values())
        for name in stage.learning_rates:
            kernel = networks[name].weights[0].value.numpy()
            assert kernel.dtype == np.float32
            assert np.isfinite(kernel).all()
            assert (kernel != before[name][0]).any()


@pytest.mark.slow
@pytest.mark.usefixtures("mixed_precision")
@pytest.mark.parametrize(
    "name",
    ["alad", "ali", "autoencoder", "bigan", "ebgan", "f-anogan", "ganomaly", "skip-ganomaly"],
)
def test_a_detector_steps_in_mixed_precision(name: str) -> None:
    detector = make_detector(name, {}, "fast")
    networks = detector.build()
    for stage in detector.stages():
        random = Randomness(1, tf.constant(0))
        context = StepContext(networks, optimizers_of(stage, networks), random, tf.constant(0.0))
        losses = stage.step(context, some_patches())
        assert all(value.dtype == tf.float32 for value in losses.values())
        assert all(np.isfinite(float(value)) for value in losses.values())


def test_run_folder_holds_logs_pictures_and_weights(short_run: Path) -> None:
    for stage in ("ebgan", "encoder", "reconstruction"):
        assert (short_run / "logs" / f"{stage}.csv").read_text().startswith("step,seconds,")
        assert list((short_run / "tensorboard" / stage).iterdir())
        assert list((short_run / "pictures").glob(f"{stage}-*.png"))
    assert Run.open(short_run).finished


def test_a_second_training_in_the_same_folder_is_refused(short_run: Path) -> None:
    with pytest.raises(SemedgeError, match=str(short_run)):
        start_run(short_run, TrainingRequest("sencebgan", SOURCE, {}))


def test_other_frames_are_refused_on_resume(short_run: Path) -> None:
    with pytest.raises(SemedgeError, match=r"sim:6.*sencebgan"):
        resume_run(short_run, "sim:6?frames=2")


@pytest.mark.parametrize(
    ("name", "settings", "schedule", "values"),
    [
        ("sencebgn", {}, "fast", "'sencebgn'.*mean sencebgan"),
        ("sencebgan", {"yy": "true"}, "fast", "'yy'.*xx, zz"),
        ("sencebgan", {"xx": "perhaps"}, "fast", "xx.*'perhaps'"),
        ("sencebgan", {"feature_term": "both"}, "fast", "feature_term.*embedding, decoded.*'both'"),
        ("sencebgan", {}, "slow", "'slow'.*appendix, author, fast"),
    ],
)
def test_bad_requests_get_a_sentence_with_their_values(
    name: str, settings: dict[str, str], schedule: str, values: str
) -> None:
    with pytest.raises(SemedgeError, match=values):
        make_detector(name, settings, schedule)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_has_a_fast_schedule_and_the_thesis_its_own(name: str) -> None:
    detector = DETECTORS[name]
    of_the_thesis = set() if detector.thesis_section.startswith("none") else {"appendix"}
    assert set(detector.schedules) >= {"fast"} | of_the_thesis


@pytest.mark.parametrize("name", DETECTORS)
def test_networks_have_the_same_ratios_of_rates_on_every_schedule(name: str) -> None:
    for schedule in DETECTORS[name].schedules.values():
        appendix = DETECTORS[name].schedules.get("appendix", schedule)
        factors = [
            rate / appendix.learning_rates[network]
            for network, rate in schedule.learning_rates.items()
        ]
        assert factors == pytest.approx(factors[:1] * len(factors))

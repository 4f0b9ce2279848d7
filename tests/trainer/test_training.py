"""Stages freeze what they must, a resumed training ends like an unbroken one, NaN stops it."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from semedge.errors import SemedgeError
from semedge_trainer.detectors import DETECTORS, make_detector
from semedge_trainer.detectors.anogan import Inversion, inversion_loss
from semedge_trainer.detectors.base import StepContext
from semedge_trainer.loop import TrainingDivergedError, has_checkpoint
from semedge_trainer.randomness import Randomness
from semedge_trainer.run import Run
from semedge_trainer.training import (
    TrainingRequest,
    choose_strategy,
    finish_run,
    resume_run,
    start_run,
)

SOURCE = "sim:5?frames=2"
OPTIONS = [
    ("sencebgan", {}),
    ("sencebgan", {"xx": "true", "zz": "true", "feature_term": "decoded", "soft_labels": "true"}),
    ("sencebgan", {"xx": "true", "instance_noise": "true", "label_flipping": "true"}),
    ("anogan", {"instance_noise": "true", "soft_labels": "true"}),
]


def some_patches(count: int = 8) -> tf.Tensor:
    return tf.random.stateless_uniform((count, 32, 32, 1), [1, 2], -1.0, 1.0)


@pytest.mark.parametrize(("name", "settings"), OPTIONS)
def test_a_stage_moves_its_own_networks_and_no_other(name: str, settings: dict[str, str]) -> None:
    detector = make_detector(name, settings, "fast")
    networks = detector.build()
    for stage in detector.stages():
        optimizers = {
            network: keras.optimizers.Adam(rate) for network, rate in stage.learning_rates.items()
        }
        for network, optimizer in optimizers.items():
            optimizer.build(networks[network].trainable_variables)
        before = {name: [np.array(v) for v in net.weights] for name, net in networks.items()}
        context = StepContext(networks, optimizers, Randomness(1, tf.constant(0)), tf.constant(0.0))
        losses = stage.step(context, some_patches())
        assert all(np.isfinite(float(value)) for value in losses.values())
        for network_name, network in networks.items():
            moved = [
                bool((np.array(variable) != old).any())
                for variable, old in zip(network.weights, before[network_name], strict=True)
            ]
            if network_name in stage.learning_rates:
                trainable = {id(variable) for variable in network.trainable_variables}
                weights = [
                    flag
                    for flag, variable in zip(moved, network.weights, strict=True)
                    if id(variable) in trainable and "logit" not in network_name
                ]
                assert all(weights), (stage.name, network_name)
            else:
                assert not any(moved), (stage.name, network_name)


def weights_of(run: Run) -> dict[str, list[np.ndarray]]:
    _, networks = run.load()
    return {name: [np.array(v) for v in network.weights] for name, network in networks.items()}


def test_a_training_killed_and_resumed_ends_like_an_unbroken_one(tmp_path: Path) -> None:
    request = TrainingRequest("sencebgan", SOURCE, {}, steps=9, seed=2)
    unbroken, frames = start_run(tmp_path / "unbroken", request)
    finish_run(unbroken, frames, choose_strategy(["cpu:0"]))

    killed, frames = start_run(tmp_path / "killed", request)

    class Killed(BaseException):
        pass

    from semedge_trainer import loop

    calls = 0
    original = loop.StageLog.record

    def record(self: loop.StageLog, step: int, losses: dict[str, float]) -> None:
        nonlocal calls
        calls += 1
        original(self, step, losses)
        if calls == 5:
            raise Killed

    loop.StageLog.record = record
    try:
        with pytest.raises(Killed):
            loop.train(
                killed,
                frames,
                choose_strategy(["cpu:0"]),
                lambda run, stage, steps: loop.StageLog(run.folder, stage, steps, 100),
                save_every=1,
            )
    finally:
        loop.StageLog.record = original
    assert not killed.finished
    with pytest.raises(SemedgeError, match="not finished"):
        killed.load()
    resumed, frames = resume_run(tmp_path / "killed", None)
    finish_run(resumed, frames, choose_strategy(["cpu:0"]))
    for name, expected in weights_of(unbroken).items():
        for value, wanted in zip(weights_of(resumed)[name], expected, strict=True):
            assert value == pytest.approx(wanted, abs=1e-5), name


def test_kill_9_leaves_a_run_that_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "semedge", "train", "--images", SOURCE, "--out", str(folder)]
    log = (tmp_path / "log").open("wb")
    child = subprocess.Popen([*command, "--steps", "4000"], stdout=log, stderr=log)
    try:
        deadline_s = time.monotonic() + 120
        losses = folder / "logs" / "ebgan.csv"
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
    assert has_checkpoint(folder, "ebgan")
    run, _ = resume_run(folder, None)
    assert not run.finished
    rows = list(csv.reader(losses.read_text().splitlines()))
    assert rows[0][:2] == ["step", "seconds"]


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path) -> None:
    request = TrainingRequest("anogan", SOURCE, {}, steps=4)
    run, frames = start_run(tmp_path / "run", request)
    record = run.record.model_copy(
        update={"learning_rates": {"generator": 1e30, "features": 1e30, "logit": 1e30}}
    )
    with pytest.raises(TrainingDivergedError, match="Stage gan diverged at step"):
        finish_run(Run(run.folder, record), frames, choose_strategy(["cpu:0"]))
    assert has_checkpoint(run.folder, "gan")
    assert not run.finished


def test_two_devices_share_a_training(tmp_path: Path) -> None:
    request = TrainingRequest("sencebgan", SOURCE, {"xx": "true"}, steps=3)
    run, frames = start_run(tmp_path / "run", request)
    strategy = choose_strategy(["cpu:0", "cpu:1"])
    assert strategy.num_replicas_in_sync == 2
    finish_run(run, frames, strategy)
    assert all(np.isfinite(array).all() for group in weights_of(run).values() for array in group)


def test_two_devices_take_the_gradient_of_the_whole_batch() -> None:
    detector = make_detector("sencebgan", {}, "fast")
    x = some_patches(8)

    def encoder_gradient(devices: list[str], per_replica: list[tf.Tensor]) -> np.ndarray:
        strategy = choose_strategy(devices)
        with strategy.scope():
            keras.utils.set_random_seed(3)
            variable = keras.Variable(np.zeros((32, 32, 1), np.float32))
            optimizer = keras.optimizers.SGD(1.0)
            optimizer.build([variable])

            class Network:
                trainable_variables = (variable,)

            context = StepContext(
                {"n": Network()}, {"n": optimizer}, Randomness(1, tf.constant(0)), tf.constant(0.0)
            )

        def step(values: tf.Tensor) -> None:
            context.descend(("n",), lambda: tf.reduce_mean((values - variable.value) ** 2))

        values = strategy.experimental_distribute_values_from_function(
            lambda context: per_replica[context.replica_id_in_sync_group]
        )
        tf.function(lambda: strategy.run(step, args=(values,)))()
        return np.array(variable)

    assert detector.patch_px == 32
    alone = encoder_gradient(["cpu:0"], [x])
    together = encoder_gradient(["cpu:0", "cpu:1"], [x[:4], x[4:]])
    assert together == pytest.approx(alone, rel=1e-5)


def test_mixed_precision_trains(tmp_path: Path) -> None:
    request = TrainingRequest("sencebgan", SOURCE, {}, steps=3, mixed_precision=True)
    run, frames = start_run(tmp_path / "run", request)
    try:
        finish_run(run, frames, choose_strategy(["cpu:0"]))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert run.finished


def test_run_folder_holds_logs_pictures_and_weights(short_run: Path) -> None:
    for stage in ("ebgan", "encoder", "reconstruction"):
        assert (short_run / "logs" / f"{stage}.csv").read_text().startswith("step,seconds,")
        assert list((short_run / "tensorboard" / stage).iterdir())
        assert list((short_run / "pictures").glob(f"{stage}-*.png"))
    assert Run.open(short_run).finished


def test_a_second_training_in_the_same_folder_is_refused(short_run: Path) -> None:
    with pytest.raises(SemedgeError, match="holds a training already"):
        start_run(short_run, TrainingRequest("sencebgan", SOURCE, {}))


def test_other_frames_are_refused_on_resume(short_run: Path) -> None:
    with pytest.raises(SemedgeError, match="are not those"):
        resume_run(short_run, "sim:6?frames=2")


@pytest.mark.parametrize(
    ("name", "settings", "schedule", "sentence"),
    [
        ("sencebgn", {}, "fast", "did you mean sencebgan"),
        ("sencebgan", {"yy": "true"}, "fast", "There is no option 'yy'"),
        ("sencebgan", {"xx": "perhaps"}, "fast", "must be true or false"),
        ("sencebgan", {"feature_term": "both"}, "fast", "must be one of embedding, decoded"),
        ("sencebgan", {}, "slow", "has no schedule 'slow'"),
    ],
)
def test_bad_requests_get_a_sentence(
    name: str, settings: dict[str, str], schedule: str, sentence: str
) -> None:
    with pytest.raises(SemedgeError, match=sentence):
        make_detector(name, settings, schedule)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_has_both_schedules(name: str) -> None:
    assert set(DETECTORS[name].schedules) >= {"fast", "thesis"}


def test_inversion_goes_down_and_does_not_depend_on_the_patches_beside() -> None:
    keras.utils.set_random_seed(1)
    networks = make_detector("anogan", {}, "fast").build()
    x = some_patches(4)
    inversion = Inversion(networks, batch=4)
    start = inversion.score(x, steps=0).numpy()
    after = inversion.score(x, steps=20).numpy()
    assert (after < start).all()
    other = tf.concat([x[:1], x[1:] * 0.5], axis=0)
    assert inversion.score(other, steps=20).numpy()[0] == pytest.approx(after[0], rel=1e-3)
    assert inversion.score(x, steps=20).numpy() == pytest.approx(after, rel=1e-3)


def test_inversion_loss_is_equations_2_32_and_2_33() -> None:
    networks = make_detector("anogan", {}, "fast").build()
    x, z = some_patches(3), tf.random.stateless_normal((3, 256), [4, 5])
    y = networks["generator"](z, training=False).numpy()
    features = [np.array(networks["features"](values, training=False)) for values in (x, y)]
    expected = 0.9 * np.abs(x.numpy() - y).sum(axis=(1, 2, 3)) + 0.1 * np.abs(
        features[0] - features[1]
    ).sum(axis=1)
    assert inversion_loss(networks, x, z).numpy() == pytest.approx(expected, rel=1e-4)

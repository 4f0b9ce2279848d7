"""What a training runs on, without a GPU at hand: kernels, choices, and two logical devices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels
from toy import BATCH, NORMAL_MEAN, dense_network, points

from semedge.core.errors import SemedgeError
from semedge_trainer import extra
from semedge_trainer.components.optimizer import FusedAdam
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors import DETECTORS, make_detector
from semedge_trainer.detectors.base import Networks, Stage, StepContext, TrainedDetector
from semedge_trainer.training import devices
from semedge_trainer.training.devices import (
    choose_strategy,
    compiles,
    mixed_policy,
    processor_has_bfloat16,
)
from semedge_trainer.training.loop import train
from semedge_trainer.training.progress import StageLog
from semedge_trainer.training.train import TrainingRequest, finish_run

TRAINED = [name for name, detector in DETECTORS.items() if issubclass(detector, TrainedDetector)]
NEED_NO_KERNEL = {"PartitionedCall", "StatefulPartitionedCall", "NoOp"}


def operations(function: tf.types.experimental.ConcreteFunction) -> set[str]:
    """Types of the operations of a function and of those that it calls."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    return {node.op for node in nodes} - NEED_NO_KERNEL


def has_gpu_kernel(operation: str) -> bool:
    found = kernels.get_registered_kernels_for_op(operation).kernel
    return bool({"GPU", "DEFAULT"} & {kernel.device_type for kernel in found})


def operations_of(stage: Stage, networks: Networks) -> set[str]:
    """Types of the operations of a stage's step."""
    optimizers = {name: FusedAdam(rate) for name, rate in stage.learning_rates.items()}
    for name, optimizer in optimizers.items():
        optimizer.build(networks[name].trainable_variables)

    def step(x: tf.Tensor, index: tf.Tensor) -> dict[str, tf.Tensor]:
        context = StepContext(networks, optimizers, Randomness(1, index), tf.constant(0.0))
        return stage.step(context, x)

    traced = tf.function(step, autograph=False).get_concrete_function(
        tf.TensorSpec((4, 32, 32, 1)), tf.TensorSpec((), tf.int64)
    )
    return operations(traced)


@pytest.mark.parametrize("name", TRAINED)
def test_every_operation_of_a_step_has_a_kernel_for_gpus(name: str) -> None:
    detector = make_detector(name, {}, "fast")
    networks = detector.build()
    for stage in detector.stages():
        found = operations_of(stage, networks)
        assert "ResourceApplyAdam" in found
        assert not {operation for operation in found if not has_gpu_kernel(operation)}


class Gpus:
    """Some GPUs that TensorFlow says it has."""

    def __init__(self, capabilities: Sequence[tuple[int, int]]) -> None:
        self.capabilities = capabilities

    def logical(self, kind: str | None = None) -> list[tf.config.LogicalDevice]:
        names = [f"/device:GPU:{number}" for number in range(len(self.capabilities))]
        found = [tf.config.LogicalDevice(name, "GPU") for name in names]
        return found if kind == "GPU" else [tf.config.LogicalDevice("/device:CPU:0", "CPU"), *found]

    def physical(self, kind: str | None = None) -> list[int]:
        return list(range(len(self.capabilities)))

    def details(self, device: int) -> dict[str, tuple[int, int]]:
        return {"compute_capability": self.capabilities[device]}


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> type[Gpus]:
    """Pretends that there are GPUs of these compute capabilities."""

    def install(capabilities: Sequence[tuple[int, int]]) -> None:
        gpus = Gpus(capabilities)
        monkeypatch.setattr(tf.config, "list_logical_devices", gpus.logical)
        monkeypatch.setattr(tf.config, "list_physical_devices", gpus.physical)
        monkeypatch.setattr(tf.config.experimental, "get_device_details", gpus.details)

    return install


class Strategy:
    """A strategy of these devices, as far as it is asked."""

    def __init__(self, *names: str) -> None:
        self.extended = self
        self.worker_devices = names
        self.num_replicas_in_sync = len(names)


def test_one_gpu_is_the_default_and_all_is_all(pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.distribute, "OneDeviceStrategy", Strategy)
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda names: Strategy(*names))
    pretend([(8, 0), (8, 0)])
    assert choose_strategy(None).worker_devices == ("/device:GPU:0",)
    assert choose_strategy(["gpu:1"]).worker_devices == ("/device:GPU:1",)
    assert choose_strategy(["all"]).worker_devices == ("/device:GPU:0", "/device:GPU:1")
    with pytest.raises(SemedgeError, match=r"GPU:2.*CPU:0, /device:GPU:0, /device:GPU:1"):
        choose_strategy(["gpu:2"])
    pretend([])
    with pytest.raises(SemedgeError, match="no GPU"):
        choose_strategy(["all"])
    assert choose_strategy(None).worker_devices == ("/device:CPU:0",)


def test_xla_compiles_steps_on_one_gpu_unless_told() -> None:
    one, two, cpu = Strategy("/GPU:0"), Strategy("/GPU:0", "/GPU:1"), Strategy("/CPU:0")
    assert [compiles(each, None) for each in (one, two, cpu)] == [True, False, False]
    assert [compiles(each, False) for each in (one, two, cpu)] == [False, False, False]
    assert compiles(cpu, True)
    with pytest.raises(SemedgeError, match="2 devices"):
        compiles(two, True)


@pytest.mark.parametrize(
    ("capabilities", "used", "policy"),
    [
        ([(8, 0)], ["/GPU:0"], "mixed_bfloat16"),
        ([(7, 5)], ["/GPU:0"], "mixed_float16"),
        ([(7, 5), (9, 0)], ["/GPU:1"], "mixed_bfloat16"),
        ([(7, 5), (9, 0)], ["/GPU:0", "/GPU:1"], "mixed_float16"),
        ([], ["/CPU:0"], "mixed_bfloat16"),
    ],
)
def test_mixed_precision_is_what_the_devices_have(
    pretend, capabilities: list[tuple[int, int]], used: list[str], policy: str
) -> None:
    pretend(capabilities)
    assert mixed_policy(Strategy(*used)) == policy


@pytest.mark.parametrize(
    ("flags", "has"),
    [("fpu avx512f avx512_vnni", False), ("fpu avx512_bf16", True), ("amx_bf16 amx_tile", True)],
)
def test_bfloat16_without_its_instructions_is_warned_of(
    flags: str, has: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert processor_has_bfloat16(lambda: f"flags\t\t: {flags}\nbugs : avx512_bf16_x") is has
    monkeypatch.setattr(devices, "processor_has_bfloat16", lambda: has)
    assert mixed_policy(Strategy("/CPU:0")) == "mixed_bfloat16"
    assert ("ten times as long" in caplog.text) is not has


def test_memory_grows_before_the_devices_are_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    config = tf.config
    monkeypatch.setattr(config, "list_physical_devices", lambda kind: ["a", "b"])
    monkeypatch.setattr(config.experimental, "get_memory_growth", lambda gpu: gpu == "b")
    monkeypatch.setattr(
        config.experimental, "set_memory_growth", lambda *given: calls.append(given)
    )
    monkeypatch.setattr(config, "set_visible_devices", lambda *given: calls.append(given))
    monkeypatch.setattr(config, "list_logical_devices", lambda: calls.append("set up"))
    monkeypatch.setattr(
        config.experimental, "enable_op_determinism", lambda: calls.append("deterministic")
    )
    extra.need_tensorflow(lambda: calls.append("configured"))
    assert calls == [("a", True), "configured", "set up"]
    calls.clear()
    extra.need_tensorflow(gpus=False, deterministic=True)
    assert calls == [([], "GPU"), "deterministic", "set up"]


@pytest.mark.parametrize("name", ["bigan", "alad", "ganomaly", "f-anogan", "ebgan"])
def test_two_devices_hold_the_same_weights(name: str) -> None:
    strategy = choose_strategy(["cpu:0", "cpu:1"])
    detector = make_detector(name, {}, "fast")
    with strategy.scope():
        networks = detector.build()
    x = tf.random.stateless_uniform((4, 32, 32, 1), [1, 2], -1, 1)
    parts = tf.split(x, 2)
    patches = strategy.experimental_distribute_values_from_function(
        lambda context: parts[context.replica_id_in_sync_group]
    )
    for stage in detector.stages():
        with strategy.scope():
            optimizers = {
                each: FusedAdam(rate, beta_1=0.5) for each, rate in stage.learning_rates.items()
            }
            for each, optimizer in optimizers.items():
                optimizer.build(networks[each].trainable_variables)

        def step(
            x: tf.Tensor,
            stage: Stage = stage,
            optimizers: dict[str, keras.optimizers.Optimizer] = optimizers,
        ) -> None:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            random = Randomness(1, tf.constant(0), replica)
            stage.step(StepContext(networks, optimizers, random, tf.constant(0.0)), x)

        before = {each: networks[each].weights[0].numpy() for each in stage.learning_rates}
        strategy.run(step, args=(patches,))
        for each in stage.learning_rates:
            for variable in networks[each].trainable_variables:
                first, second = strategy.experimental_local_results(variable.value)
                assert (first.numpy() == second.numpy()).all(), (stage.name, variable.path)
            assert (networks[each].weights[0].numpy() != before[each]).any()


def moved(optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
    """Weights of a small network after some steps."""
    keras.utils.set_random_seed(4)
    network = dense_network("n", 2, 8, 2)
    optimizer.build(network.trainable_variables)
    for step in range(20):
        context = StepContext(
            {"n": network}, {"n": optimizer}, Randomness(1, tf.constant(step)), tf.constant(0.0)
        )
        x = tf.constant(points(NORMAL_MEAN, BATCH, step))

        def loss(x: tf.Tensor = x) -> tf.Tensor:
            return tf.reduce_mean(tf.square(tf.cast(network(x, training=True), tf.float32) - x))

        context.descend(("n",), loss)
    return network.get_weights()


def test_fused_adam_is_adam() -> None:
    rate = 1e-2
    plain = moved(keras.optimizers.Adam(rate, beta_1=0.5))
    for fused, expected in zip(moved(FusedAdam(rate, beta_1=0.5)), plain, strict=True):
        np.testing.assert_allclose(fused, expected, rtol=1e-5, atol=1e-6)


def test_float16_takes_gradients_of_a_scaled_loss() -> None:
    full = moved(FusedAdam(1e-3))
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        for half, expected in zip(moved(FusedAdam(1e-3)), full, strict=True):
            np.testing.assert_allclose(half, expected, atol=5e-3)
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_a_compiled_training_has_the_losses_of_the_other(tmp_path: Path, start_small_run) -> None:
    losses = []
    for number, jit_compile in enumerate((False, True)):
        request = TrainingRequest("autoencoder", "sim:5?frames=2", {}, steps=2)
        run, frames = start_small_run(tmp_path / str(number), request, batch=2)
        finish_run(run, frames, choose_strategy(None), jit_compile=jit_compile)
        losses.append((run.folder / "logs/autoencoder.csv").read_text().split(",")[-1])
    assert float(losses[1]) == pytest.approx(float(losses[0]), rel=1e-4)


def test_losses_leave_their_device_only_for_a_report(tmp_path: Path, start_small_run) -> None:
    reported = []

    class Counting(StageLog):
        def record(self, step: int, losses: dict[str, float]) -> None:
            reported.append(step)

    request = TrainingRequest("ebgan", "sim:5?frames=2", {"width": "0.125"}, steps=25)
    run, frames = start_small_run(tmp_path / "run", request, batch=2)
    train(
        run,
        frames,
        choose_strategy(["cpu:0"]),
        lambda run, stage, steps: Counting(run.folder, stage, steps, 100),
    )
    assert reported == [10, 20, 25]

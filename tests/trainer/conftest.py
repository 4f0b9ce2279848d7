"""TensorFlow set up as the commands set it up, with two logical CPU devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from semedge_trainer.commands.extra import need_tensorflow


def _two_devices() -> None:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration(), tf.config.LogicalDeviceConfiguration()]
    )


need_tensorflow(configure=_two_devices)


@pytest.fixture(scope="session")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished SENCEBGAN run of a few steps on simulated frames, pair discriminators on."""
    from semedge_trainer.training import TrainingRequest, choose_strategy, finish_run, start_run

    folder = tmp_path_factory.mktemp("runs") / "sencebgan"
    request = TrainingRequest(
        "sencebgan", "sim:5?frames=2", {"xx": "true", "zz": "true"}, steps=6, seed=3
    )
    finish_run(*start_run(folder, request), choose_strategy(["cpu:0"]))
    return folder

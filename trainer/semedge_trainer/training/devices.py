"""What a training runs on: CPUs, a GPU or several, and in which precision."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import tensorflow as tf

from semedge.core.errors import SemedgeError

logger = logging.getLogger(__name__)

Policy = Literal["float32", "mixed_bfloat16", "mixed_float16"]

ALL = ["all"]
"""The request for every GPU."""
BFLOAT16_CAPABILITY = (8, 0)
"""Of GPUs that multiply in bfloat16; older ones have float16 alone."""
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""In /proc/cpuinfo, of processors that multiply in bfloat16; the last is ARM's."""


def choose_strategy(devices: Sequence[str] | None) -> tf.distribute.Strategy:
    """One device, or several that share each batch.

    Parameters
    ----------
    devices
        Such as `gpu:0`; `all` is every GPU. Where None, the first GPU, or the CPU where there is
        none.
    """
    available = [device.name for device in tf.config.list_logical_devices()]
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    if devices is None:
        return tf.distribute.OneDeviceStrategy([*gpus, "/device:CPU:0"][0])
    full = gpus if list(devices) == ALL else [f"/device:{device.upper()}" for device in devices]
    if not full:
        raise SemedgeError(
            "There is no GPU on this machine, and all of them are asked for; leave out --devices."
        )
    if missing := sorted(set(full) - set(available)):
        raise SemedgeError(
            f"There is no device {', '.join(missing)}; this machine has {', '.join(available)}."
        )
    if len(full) == 1:
        return tf.distribute.OneDeviceStrategy(full[0])
    if all(name.startswith("/device:CPU") for name in full):
        return tf.distribute.MirroredStrategy(
            full, cross_device_ops=tf.distribute.ReductionToOneDevice()
        )
    return tf.distribute.MirroredStrategy(full)


def compiles(strategy: tf.distribute.Strategy, jit_compile: bool | None) -> bool:
    """Whether XLA compiles a training step: where it is asked for, and by default on one GPU.

    Raises `SemedgeError` where it is asked for on several devices, whose exchange of gradients XLA
    cannot compile.
    """
    several = strategy.num_replicas_in_sync > 1
    if jit_compile and several:
        raise SemedgeError(
            f"XLA compiles a step on one device. Received: --jit-compile on "
            f"{strategy.num_replicas_in_sync} devices; leave it out, or choose one with --devices."
        )
    if jit_compile is None:
        return not several and bool(_gpus(strategy))
    return jit_compile


def mixed_policy(strategy: tf.distribute.Strategy) -> Policy:
    """What mixed precision is on these devices: bfloat16 but on GPUs that have float16 alone.

    A processor that cannot multiply in bfloat16 emulates it, ten times slower: that is warned of.
    """
    gpus = _gpus(strategy)
    if not gpus:
        if not processor_has_bfloat16():
            logger.warning(
                "This processor emulates bfloat16 (it has neither AVX512_BF16 nor AMX), which "
                "takes about ten times as long as float32; leave out --mixed-precision."
            )
        return "mixed_bfloat16"
    physical = tf.config.list_physical_devices("GPU")
    capabilities = [
        tf.config.experimental.get_device_details(physical[index])["compute_capability"]
        for index in gpus
    ]
    return "mixed_bfloat16" if min(capabilities) >= BFLOAT16_CAPABILITY else "mixed_float16"


def processor_has_bfloat16(read: Callable[[], str] | None = None) -> bool:
    """Whether this processor multiplies in bfloat16; taken as true where it does not say."""
    if read is None:
        if platform.system() != "Linux":
            return True
        read = Path("/proc/cpuinfo").read_text
    flags = {flag for line in read().splitlines() for flag in line.partition(":")[2].split()}
    return bool(flags & BFLOAT16_FLAGS)


def _gpus(strategy: tf.distribute.Strategy) -> list[int]:
    """Numbers of the GPUs of a strategy."""
    names = [tf.DeviceSpec.from_string(device) for device in strategy.extended.worker_devices]
    return [spec.device_index for spec in names if spec.device_type == "GPU"]

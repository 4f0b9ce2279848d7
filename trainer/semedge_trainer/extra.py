"""The trainer's commands with and without the trainer's packages."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable

from semedge.core.errors import SemedgeError
from semedge.core.stderr import stderr_dropped


def need_package(module: str, name: str, extra: str = "train") -> None:
    """Say which extra to install where a package of the trainer is missing."""
    if importlib.util.find_spec(module) is None:
        raise SemedgeError(
            f"This command needs {name}, which is not installed here; install it with "
            f"pip install 'semedge[{extra}]'."
        )


def need_tensorflow(
    configure: Callable[[], None] | None = None, *, gpus: bool = True, deterministic: bool = False
) -> None:
    """Say which extra to install where TensorFlow is missing, and set it up where it is there.

    A GPU's memory is taken as it is needed, so that several processes can share one.

    Parameters
    ----------
    configure
        Called before the devices are set up.
    gpus
        Whether this process may use GPUs; where not, it takes no memory of them.
    deterministic
        Whether every operation gives the same numbers each time, which some do slower.
    """
    need_package("tensorflow", "TensorFlow")
    with stderr_dropped():
        tensorflow = importlib.import_module("tensorflow")
        physical = tensorflow.config.list_physical_devices("GPU")
        if not gpus:
            tensorflow.config.set_visible_devices([], "GPU")
        for gpu in physical if gpus else ():
            if not tensorflow.config.experimental.get_memory_growth(gpu):
                tensorflow.config.experimental.set_memory_growth(gpu, True)
        if deterministic:
            tensorflow.config.experimental.enable_op_determinism()
        if configure is not None:
            configure()
        tensorflow.config.list_logical_devices()

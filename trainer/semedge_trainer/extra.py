"""The trainer's commands with and without the trainer's packages."""

from __future__ import annotations

import importlib
import importlib.util
import os
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


def need_tensorflow(configure: Callable[[], None] | None = None) -> None:
    """Say which extra to install where TensorFlow is missing, and set it up where it is there.

    oneDNN is switched on: without it, transposed convolutions of a few pixels take up to 35 times
    longer, and TensorFlow leaves it off on some processors. `configure` is called before the
    devices are set up.
    """
    need_package("tensorflow", "TensorFlow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with stderr_dropped():
        tensorflow = importlib.import_module("tensorflow")
        if configure is not None:
            configure()
        tensorflow.config.list_logical_devices()

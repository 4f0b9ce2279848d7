"""The command line as on an edge device: `python edge_only.py COMMAND...`.

What only the trainer needs cannot be found then, as though it were not installed. For
`python edge_only.py FILE.py ARGUMENT...`, a program, no package of any extra can be.
"""

from __future__ import annotations

import runpy
import sys
from importlib.machinery import ModuleSpec
from typing import Any

HIDDEN = (
    *("tensorflow", "keras", "tf_keras", "tensorflow_model_optimization"),
    *("sklearn", "scipy", "matplotlib"),
)
EXTRAS = (
    *("fastapi", "starlette", "uvicorn", "prometheus_client", "paho", "httpx", "apprise"),
    *("asyncua", "pymodbus", "harvesters", "genicam", "pypylon", "gi"),
    *("pyarrow", "ray", "openvino", "psutil", "tflite_runtime", "tensorboard", "markupsafe"),
)


class Hiding:
    """A finder of modules that does not find the hidden ones."""

    def __init__(self, finder: Any, hidden: tuple[str, ...]) -> None:
        self._finder = finder
        self._hidden = hidden

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] in self._hidden:
            return None
        spec: ModuleSpec | None = self._finder.find_spec(name, path, target)
        return spec

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


def hide(hidden: tuple[str, ...] = HIDDEN) -> None:
    """Hide packages, the trainer's unless others are named, from every import to come."""
    finders = [Hiding(finder, hidden) for finder in sys.meta_path]
    sys.meta_path[:] = finders  # type: ignore[assignment]


if __name__ == "__main__":
    if sys.argv[1].endswith(".py"):
        hide(HIDDEN + EXTRAS)
        del sys.argv[0]
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        hide()
        from semedge.cli import main

        main()

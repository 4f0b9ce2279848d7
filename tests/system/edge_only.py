"""The command line as on an edge device: `python edge_only.py COMMAND...`.

What only the trainer needs cannot be found then, as though it were not installed.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from typing import Any

HIDDEN = (
    *("tensorflow", "keras", "tf_keras", "tensorflow_model_optimization"),
    *("sklearn", "scipy", "matplotlib"),
)


class Hiding:
    """A finder of modules that does not find the hidden ones."""

    def __init__(self, finder: Any) -> None:
        self._finder = finder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] in HIDDEN:
            return None
        spec: ModuleSpec | None = self._finder.find_spec(name, path, target)
        return spec

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


def hide() -> None:
    """Hide the trainer's packages from every import to come."""
    sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]  # type: ignore[misc]


if __name__ == "__main__":
    hide()
    from semedge.cli import main

    main()

"""Recipes of the tiny detector, for tests."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bundles import tiny_bundle, tiny_calibration

from semedge.station.recipe import RecipeManifest, write_recipe


@cache
def recipe_parts() -> tuple[bytes, bytes]:
    """Content of the tiny detector and of its calibration."""
    with TemporaryDirectory() as folder:
        bundle = tiny_bundle(Path(folder) / "tiny.semedge")
        calibration = tiny_calibration(Path(folder) / "tiny.json", bundle)
        return bundle.read_bytes(), calibration.read_bytes()


def manifest_of(detector: bytes, calibration: bytes, **changes: Any) -> dict[str, Any]:
    """A recipe's document, with changes."""
    return {
        "format_version": 1,
        "name": "fibre",
        "version": 1,
        "created_at": "2026-11-24T00:00:00+00:00",
        "detector_sha256": hashlib.sha256(detector).hexdigest(),
        "calibration_sha256": hashlib.sha256(calibration).hexdigest(),
        **changes,
    }


def make_recipe(path: Path, **changes: Any) -> Path:
    """Write a recipe of the tiny detector, named like the file, and return its path."""
    detector, calibration = recipe_parts()
    document = manifest_of(detector, calibration, **{"name": path.stem, **changes})
    write_recipe(path, RecipeManifest.model_validate(document), detector, calibration)
    return path

"""Edits of the station file that preserve its comments and layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.inference.bundle import Bundle, read_bundle, read_demo_bundle
from semedge.station.camera_plan import recipe_of
from semedge.station.config.station import Station, load_station
from semedge.station.recipe import read_recipe

Table = tuple[str, ...]


def detector_tables(path: Path, bundle: Bundle) -> list[Table]:
    """The tables of the station file for this detector: `detector`, `cameras.NAME.detector`.

    Raises `SemedgeError` where the file cannot be read, or no camera uses this detector.
    """
    judges = _judges(load_station(path))
    tables = list(dict.fromkeys(table for table, sha256 in judges if sha256 == bundle.sha256))
    if not tables:
        raise SemedgeError(
            f"No camera of {path} uses {bundle.name}; name it there as detector.file, or "
            "measure the detector that the file names."
        )
    return tables


def write_workers(path: Path, tables: list[Table], workers: int) -> None:
    """Set `workers` in these tables; a reader sees the old file or the new one."""
    import tomlkit

    target = path.resolve()
    document: Any = tomlkit.parse(target.read_bytes().decode())
    for table in tables:
        place = document
        for key in table:
            place = place.setdefault(key, tomlkit.table())
        place["workers"] = workers
    mode = target.stat().st_mode & 0o777
    write_atomically(target, tomlkit.dumps(document).encode(), mode=mode)


def _judges(station: Station) -> Iterator[tuple[Table, str]]:
    """For each camera, the table of its detector, and the digest of that detector."""
    if not station.cameras:
        yield ("detector",), _sha256(station.detector.file, station.recipe.file)
    for name, camera in station.cameras.items():
        recipe = recipe_of(station, camera)
        if camera.detector is None:
            yield ("detector",), _sha256(station.detector.file, recipe)
        else:
            yield ("cameras", name, "detector"), _sha256(camera.detector.file, recipe)


def _sha256(detector: Path | None, recipe: Path | None) -> str:
    if recipe is not None:
        return read_recipe(recipe).manifest.detector_sha256
    return (read_demo_bundle() if detector is None else read_bundle(detector)).sha256

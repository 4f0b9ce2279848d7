"""`semedge init`."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from semedge.commands.setting_options import FILE
from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.station.config.template import station_template

logger = logging.getLogger(__name__)


@click.command()
@click.option("--camera", metavar="SOURCE", help="The camera to write into the file.")
@click.option("--recipe", type=FILE, metavar="FILE", help="The recipe to write into the file.")
@click.option(
    "--out",
    type=FILE,
    default="semedge.toml",
    show_default=True,
    metavar="FILE",
    help="The station file to write.",
)
def init(camera: str | None, recipe: Path | None, out: Path) -> None:
    """Write a station file to start from, with every setting and its description."""
    if out.exists():
        raise SemedgeError(f"{out} exists; give another name with --out, or delete it.")
    given: dict[str, dict[str, str]] = {}
    if camera is not None:
        given["camera"] = {"source": camera}
    if recipe is not None:
        given["recipe"] = {"file": str(recipe.resolve())}
    write_atomically(out, station_template(out.name, given).encode())
    logger.info(f"Wrote {out}. Next: semedge watch --station {out}")

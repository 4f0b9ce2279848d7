"""`semedge recipe make | show | check | sign | use`."""

from __future__ import annotations

import getpass
import logging
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import click

from semedge.cameras import CameraSettings
from semedge.cameras.settings import AS_IT_IS
from semedge.commands.camera_options import camera_options
from semedge.commands.recipe_options import identity_options
from semedge.commands.scoring_options import detector_option, stride_option
from semedge.commands.setting_options import (
    FILE,
    GivenSettings,
    field_option,
    pass_given,
    setting_option,
)
from semedge.core.console import print_json
from semedge.core.errors import SemedgeError
from semedge.core.files import read_bounded
from semedge.core.signature import sign as write_signature
from semedge.decision.calibration_file import MAX_FILE_BYTES
from semedge.decision.defect import DecisionSettings
from semedge.inference.bundle import MAX_BUNDLE_BYTES, read_bundle
from semedge.station.config.sections import CalibrationSection
from semedge.station.config.station import load_station
from semedge.station.recipe import SUFFIX, Recipe, make_recipe, read_recipe
from semedge.web.client import send_request
from semedge_calibration import Calibration

logger = logging.getLogger(__name__)


@click.group()
def recipe() -> None:
    """Pack detector, calibration and decision into one file for stations.

    A recipe is one file, verified by digests, that a station can switch to while it runs.
    """


@recipe.command()
@identity_options
@click.option("--note", default="", help="What is new in this version.")
@detector_option()
@field_option(
    *(CalibrationSection, "file", "--calibration", "calibration"),
    type=FILE,
    required=True,
    metavar="FILE",
)
@stride_option()
@click.option(
    "--station",
    type=FILE,
    metavar="FILE",
    help="A station file to copy the decision and camera settings from.",
)
@click.option(
    "--camera",
    metavar="NAME",
    help="Camera to copy the settings of, where the station file has several.",
)
@setting_option(DecisionSettings, "alarm", "--alarm")
@setting_option(DecisionSettings, "warn", "--warn")
@click.option("--out", type=FILE, required=True, metavar="FILE", help="The recipe to write.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@camera_options
@pass_given
def make(
    given: GivenSettings,
    name: str,
    recipe_version: int,
    note: str,
    detector_path: Path | None,
    calibration: Path,
    stride_px: int | None,
    station: Path | None,
    camera: str | None,
    out: Path,
    as_json: bool,
) -> None:
    """Make a recipe, and check that it can be run.

    The options for the camera and the levels override the station file; the station that runs the
    recipe decides on the rest.
    """
    bundle = _detector_content(detector_path)
    calibrated = _content(calibration, MAX_FILE_BYTES)
    decision, settings = _inherited(station, camera)
    made, calibration_read = make_recipe(
        out,
        name,
        bundle,
        calibrated,
        version=recipe_version,
        note=note,
        stride_px=stride_px,
        decision=given.over(decision),
        camera=given.over(settings),
    )
    _print(made, calibration_read, as_json)


@recipe.command()
@click.argument("file", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(file: Path, as_json: bool) -> None:
    """Show what a recipe contains."""
    read = read_recipe(file)
    _print(read, None, as_json)


@recipe.command()
@click.argument("file", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(file: Path, as_json: bool) -> None:
    """Load a recipe as a station would, to find its faults."""
    read = read_recipe(file)
    detector, calibration = read.load(workers=1)
    detector.close()
    _print(read, calibration, as_json)
    logger.info(f"{file} can be used here.")


@recipe.command()
@click.argument("file", type=FILE)
@click.option(
    "--key",
    type=FILE,
    required=True,
    metavar="FILE",
    help="The Ed25519 private key, an unencrypted PEM file.",
)
def sign(file: Path, key: Path) -> None:
    """Sign a recipe or a detector bundle, for stations with a public key.

    The signature is written beside the file, as FILE.sig; copy both to the station.
    """
    sha256 = read_recipe(file).sha256 if file.suffix == SUFFIX else read_bundle(file).sha256
    logger.info(f"Signed: {write_signature(file, sha256, key)}.")


@recipe.command()
@click.argument("name")
@click.option(
    "--station",
    type=FILE,
    envvar="SEMEDGE_STATION",
    required=True,
    metavar="FILE",
    help="The station file of the running station.",
)
@click.option("--camera", metavar="NAME", help="Name of the camera, where the station has several.")
@click.option(
    "--who",
    default=getpass.getuser,
    metavar="NAME",
    help="Name in the audit trail; by default the user of this machine.",
)
def use(name: str, station: Path, camera: str | None, who: str) -> None:
    """Switch a running station to the recipe NAME of its folder of recipes.

    The request goes to the page of the station, with the page's token. The station inspects every
    frame until the recipe is loaded; a bad recipe is refused, and the old one stays active.
    """
    read = load_station(station)
    if read.web is None:
        raise SemedgeError(
            f"The station file {station} has no table [web], which requests to a running station "
            "need; add it, with a token."
        )
    request = {"action": "recipe", "recipe": name.removesuffix(SUFFIX), "who": who}
    if camera is not None:
        request["camera"] = camera
    logger.info(send_request(read.web, request))


def _inherited(station: Path | None, camera: str | None) -> tuple[DecisionSettings, CameraSettings]:
    """Decision and camera settings of a station file, or of one of its cameras."""
    if station is None:
        if camera is not None:
            raise SemedgeError(
                f"--camera {camera} names a camera of a station file; give --station."
            )
        return DecisionSettings(), AS_IT_IS
    read = load_station(station)
    if not read.cameras and camera is None:
        return read.decision, read.camera.settings
    if camera not in read.cameras:
        known = (
            f"the cameras {', '.join(read.cameras)}" if read.cameras else "no camera with a name"
        )
        raise SemedgeError(
            f"The station file {station} has {known}; name one of its cameras with --camera NAME, "
            f"or leave it out where there is none. Received: {camera or 'none'}."
        )
    section = read.cameras[camera]
    return section.decision or read.decision, section.settings


def _print(read: Recipe, calibration: Calibration | None, as_json: bool) -> None:
    document: dict[str, Any] = {
        "path": str(read.path),
        "sha256": read.sha256,
        **read.manifest.model_dump(mode="json"),
    }
    if calibration is not None:
        levels = read.manifest.decision.levels(calibration.threshold)
        promised = levels.alarm >= calibration.threshold
        document["threshold"] = calibration.threshold
        document["guarantee"] = calibration.guarantee if promised else None
        if not promised:
            logger.warning(
                f"The alarm level {levels.alarm:.4g} is below the calibrated threshold "
                f"{calibration.threshold:.4g}, so that nothing is guaranteed about false alarms.",
                extra={"event": "no-guarantee"},
            )
    if as_json:
        print_json(document)
        return
    for name, value in document.items():
        if isinstance(value, dict):
            shown = ", ".join(
                f"{key} {each}" for key, each in value.items() if each not in (None, [])
            )
        else:
            shown = value
        click.echo(f"{name:20} {'none' if shown in (None, '') else shown}")


def _detector_content(path: Path | None) -> bytes:
    if path is None:
        return package_files("semedge").joinpath("data/demo.semedge").read_bytes()
    return _content(path, MAX_BUNDLE_BYTES)


def _content(path: Path, most_bytes: int) -> bytes:
    return read_bounded(
        path,
        most_bytes,
        unreadable=lambda reason: f"{path} cannot be read ({reason}); give the path of the file.",
        too_large=lambda size_bytes: (
            f"{path} has {size_bytes:,} bytes, and the limit is {most_bytes:,}; give another."
        ),
    )

"""`semedge cameras`."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from semedge.cameras.discovery import Listing, list_cameras
from semedge.cameras.genicam import PRODUCER_PATH
from semedge.core.console import print_json

logger = logging.getLogger(__name__)

TITLES = {
    "v4l2": "Video4Linux",
    "genicam": "GenICam (any vendor's GenTL producer)",
    "pylon": "Basler pylon",
    "aravis": "Aravis (GigE Vision, USB3 Vision)",
}


@click.command()
@click.option(
    "--producer",
    "producers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help=f"A GenTL producer (.cti) to query in addition to those of {PRODUCER_PATH}; repeatable.",
)
@click.option(
    "--timeout-s",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="S",
    help="Longest wait for the lists.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document to stdout.")
def cameras(producers: tuple[Path, ...], timeout_s: float, as_json: bool) -> None:
    """List the cameras that are connected, and what to install for more.

    Streams (rtsp://, http://) cannot be listed: their address is in the camera's manual.
    """
    listings = list_cameras(timeout_s, producers)
    if as_json:
        print_json({"ways": [listing.to_document() for listing in listings]})
        return
    for listing in listings:
        _print(listing)
    logger.info("Streams are opened by their address: rtsp://... or http://... (MJPEG).")


def _print(listing: Listing) -> None:
    logger.info(f"{TITLES[listing.way]}:")
    for device in listing.devices:
        name = " ".join(part for part in (device.vendor, device.model, device.serial) if part)
        logger.info(f"  {device.source}  {name}".rstrip())
    if listing.problem:
        logger.info(f"  {listing.problem}")
    elif not listing.devices:
        logger.info("  none connected")

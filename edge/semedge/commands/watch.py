"""`semedge watch`."""

from __future__ import annotations

import gc
import logging
from pathlib import Path

import click

from semedge.commands.setting_options import FILE, GivenSettings, pass_given
from semedge.commands.station_options import station_options
from semedge.core.errors import SemedgeError
from semedge.core.files import locked
from semedge.journal.journal import Journal
from semedge.journal.records import DEFAULT_JOURNAL
from semedge.sinks.console import ConsoleSink
from semedge.sinks.registry import open_sinks
from semedge.station.camera_plan import plan_cameras
from semedge.station.config.sections import DEFAULT_PICTURES
from semedge.station.config.station import Station, load_station
from semedge.station.connections import Connections, PagePlan
from semedge.station.control import StationPlan
from semedge.station.load import load_cameras
from semedge.station.systemd import SHORTEST_HANG_S
from semedge.station.watch import Watch, WatchSettings

logger = logging.getLogger(__name__)

IN_USE = (
    "The journal {} is in use by another `semedge watch`; end that one, or choose "
    "another --journal."
)
"""Two watches would both deliver the pending alerts."""


@click.command()
@click.option(
    "--station",
    type=FILE,
    envvar="SEMEDGE_STATION",
    metavar="FILE",
    help="A station file (TOML) with settings; flags and SEMEDGE_* variables win over it.",
)
@station_options
@click.option(
    "--json", "as_json", is_flag=True, help="Print each event to stdout as a line of JSON."
)
@pass_given
def watch(given: GivenSettings, station: Path | None, as_json: bool) -> None:
    """Watch cameras and raise alerts.

    Each frame is scored, and one that scores above the calibration's threshold starts an alert:
    its pictures are written, it is stored in the journal, and then delivered; the first normal
    frame ends it. Ctrl-C ends the watch after the current frame.
    """
    read = _read(station, given)
    try:
        plan = _plan(read, station, given)
    except SemedgeError as error:
        raise click.UsageError(str(error)) from error
    plans = list(plan.cameras.values())
    if any(each.detector.file is each.recipe is None for each in plans):
        logger.info(
            "Using the demo detector, which is trained on simulated fibres.",
            extra={"event": "demo-detector"},
        )
    journal = read.journal.file or DEFAULT_JOURNAL
    pictures = read.journal.pictures or DEFAULT_PICTURES
    settings = WatchSettings(
        pictures,
        read.station.name,
        read.watch,
        read.retention,
        read.watch.require_check,
        SHORTEST_HANG_S + 3 * max(each.camera.timeout_s for each in plans),
    )
    cameras = load_cameras(plans)
    try:
        with locked(journal, IN_USE.format(journal)), Journal(journal) as opened:
            sinks = [ConsoleSink(as_json), *open_sinks(read.sinks)]
            page = None if read.web is None else PagePlan(read.web, journal, pictures)
            connections = Connections(sinks, page)
            summary = Watch(cameras, opened, sinks, settings, plan, connections).run()
    finally:
        for camera in cameras:
            camera.setup.detector.close()
    for sentence in summary.sentences():
        logger.info(sentence, extra={"event": "summary"})
    # Everything else ends with the process; without this, a last search for cycles takes half a
    # second with an OPC UA server.
    gc.freeze()


def _read(station: Path | None, given: GivenSettings) -> Station:
    """The station file as it is now, overridden by flags and variables."""
    return given.over(Station() if station is None else load_station(station))


def _plan(read: Station, station: Path | None, given: GivenSettings) -> StationPlan:
    """The plan of the watch, and how to read it again from the station file."""
    plans = {plan.name: plan for plan in plan_cameras(read)}
    again = None if station is None else lambda: _plan(_read(station, given), station, given)
    return StationPlan(plans, read.station.recipes, again)

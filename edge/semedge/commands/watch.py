"""`semedge watch`."""

from __future__ import annotations

import gc
import logging
from dataclasses import dataclass
from pathlib import Path

import click

from semedge.commands.setting_options import FILE, GivenSettings, pass_given
from semedge.commands.station_options import station_options
from semedge.core.errors import SemedgeError
from semedge.core.files import locked
from semedge.inference.graph_check import PASSED
from semedge.journal.journal import Journal
from semedge.journal.marked_frames import MarkedFrames
from semedge.journal.records import DEFAULT_JOURNAL
from semedge.sinks.base import Sink
from semedge.sinks.console import ConsoleSink
from semedge.sinks.registry import open_sinks
from semedge.station.camera_plan import plan_cameras
from semedge.station.camera_setup import StationCamera
from semedge.station.config.sections import DEFAULT_PICTURES
from semedge.station.config.station import Station, load_station
from semedge.station.connections import Connections, PagePlan
from semedge.station.control import StationPlan
from semedge.station.exposure import warn_of_exposure
from semedge.station.load import load_cameras
from semedge.station.safe_mode import SafeMode
from semedge.station.systemd import SHORTEST_HANG_S
from semedge.station.watch import Watch, WatchSettings

logger = logging.getLogger(__name__)

IN_USE = (
    "The journal {} is in use by another `semedge watch`; end that one, or choose "
    "another --journal."
)
"""Two watches would both deliver the pending alerts."""

PASSED_SUFFIX = ".graphs"
"""End of the name of the file, beside the journal, that remembers which graphs were checked."""


@click.command()
@click.option(
    "--station",
    type=FILE,
    envvar="SEMEDGE_STATION",
    metavar="FILE",
    help="A station file (TOML) with settings; flags and SEMEDGE_* variables override it.",
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
    warn_of_exposure(read)
    journal = read.journal.file or DEFAULT_JOURNAL
    with PASSED.remembered_in(journal.with_name(f"{journal.name}{PASSED_SUFFIX}")):
        _watch(read, plan, journal, given, station, as_json)
    # Everything else ends with the process; without this, a last search for cycles takes half a
    # second with an OPC UA server.
    gc.freeze()


def _watch(
    read: Station,
    plan: StationPlan,
    journal: Path,
    given: GivenSettings,
    station: Path | None,
    as_json: bool,
) -> None:
    """Load the cameras and inspect, or serve the page alone where they cannot be loaded."""
    ready: _Ready | None = None
    fault: SemedgeError | None = None
    try:
        ready = _Ready(read, plan, load_cameras(list(plan.cameras.values())))
    except SemedgeError as error:
        if read.web is None:
            raise
        fault = error
    try:
        with locked(journal, IN_USE.format(journal)), Journal(journal) as opened:
            if fault is not None:
                ready = _wait_safely(fault, read, plan, opened, given, station, as_json)
            if ready is not None:
                _inspect(ready, opened, as_json)
    finally:
        for camera in ready.cameras if ready is not None else ():
            camera.setup.detector.close()


@dataclass(frozen=True)
class _Ready:
    """The settings of a station, and its loaded cameras."""

    read: Station
    plan: StationPlan
    cameras: list[StationCamera]


def _inspect(ready: _Ready, journal: Journal, as_json: bool) -> None:
    read = ready.read
    plans = ready.plan.cameras.values()
    settings = WatchSettings(
        read.journal.pictures or DEFAULT_PICTURES,
        read.station.name,
        read.watch,
        read.retention,
        read.watch.require_check,
        SHORTEST_HANG_S + 3 * max(each.camera.timeout_s for each in plans),
        read.marks,
    )
    sinks, connections = _connect(read, journal, as_json)
    summary = Watch(ready.cameras, journal, sinks, settings, ready.plan, connections).run()
    for sentence in summary.sentences():
        logger.info(sentence, extra={"event": "summary"})


def _wait_safely(
    error: SemedgeError,
    read: Station,
    plan: StationPlan,
    journal: Journal,
    given: GivenSettings,
    station: Path | None,
    as_json: bool,
) -> _Ready | None:
    """Serve the page, which says why nothing is inspected, until the cameras can be loaded."""

    def load() -> _Ready:
        newest = _read(station, given)
        planned = _plan(newest, station, given)
        return _Ready(newest, planned, load_cameras(list(planned.cameras.values())))

    sinks, connections = _connect(read, journal, as_json)
    marked = MarkedFrames(read.journal.pictures or DEFAULT_PICTURES, read.marks.most_bytes)
    safe = SafeMode(read.station.name, list(plan.cameras), journal, sinks, connections, marked)
    return safe.wait(error, load)


def _connect(read: Station, journal: Journal, as_json: bool) -> tuple[list[Sink], Connections]:
    sinks = [ConsoleSink(as_json), *open_sinks(read.sinks)]
    pictures = read.journal.pictures or DEFAULT_PICTURES
    page = (
        None
        if read.web is None
        else PagePlan(read.web, journal.path, pictures, read.marks.most_bytes)
    )
    return sinks, Connections(sinks, page)


def _read(station: Path | None, given: GivenSettings) -> Station:
    """The station file as it is now, overridden by flags and variables."""
    return given.over(Station() if station is None else load_station(station))


def _plan(read: Station, station: Path | None, given: GivenSettings) -> StationPlan:
    """The plan of the watch, and how to read it again from the station file."""
    plans = {plan.name: plan for plan in plan_cameras(read)}
    again = None if station is None else lambda: _plan(_read(station, given), station, given)
    return StationPlan(plans, read.station.recipes, again, station)

"""`semedge watch`."""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from semedge.cameras import CameraSettings
from semedge.commands.camera_options import UNSAID, camera_options, settings_from
from semedge.commands.scoring_options import stride_option, workers_option
from semedge.core.errors import SemedgeError
from semedge.core.files import held_alone
from semedge.journal.journal import Journal
from semedge.sinks.console import ConsoleSink
from semedge.sinks.registry import open_sinks
from semedge.station.config.station import Station, load_station
from semedge.station.connections import Connections, PagePlan
from semedge.station.control import StationPlan
from semedge.station.inspection.limits import RunLimits
from semedge.station.load import Defaults, choose_lines, load_lines
from semedge.station.systemd import SHORTEST_HANG_S
from semedge.station.watch import Watch, WatchSettings

logger = logging.getLogger(__name__)

IN_USE = (
    "The journal {} is in use by another `semedge watch`; end that one, or give this one a "
    "--journal of its own."
)
"""Its pending alerts would go out twice if both delivered them."""

FROM_THE_FILE: Mapping[str, Any] = {
    "camera": None,
    "timeout_s": 10.0,
    "loop": False,
    "recipe": None,
    "detector": None,
    "stride": None,
    "workers": None,
    "calibration": None,
    **UNSAID,
}
"""Options that a reload can change, with what they are where nothing is said."""

BELOW_FLAGS = (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)

FILE = click.Path(dir_okay=False, path_type=Path)


def _read_station(
    ctx: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    """Make the file's settings the defaults of the other options, below the environment's."""
    if value is not None:
        ctx.obj = load_station(value)
        ctx.default_map = ctx.obj.options()
    return value


@click.command()
@click.option(
    "--station",
    type=FILE,
    envvar="SEMEDGE_STATION",
    callback=_read_station,
    is_eager=True,
    metavar="FILE",
    help="A station file (TOML) with settings; flags and SEMEDGE_* variables win over it.",
)
@click.option(
    "--camera",
    envvar="SEMEDGE_CAMERA",
    metavar="SOURCE",
    help="A device, a stream's address, a video file, a folder of images, or sim:SEED.",
)
@click.option(
    "--detector",
    type=FILE,
    envvar="SEMEDGE_DETECTOR",
    metavar="FILE",
    help="The detector bundle; the demo detector where absent.",
)
@click.option(
    "--recipe",
    type=FILE,
    envvar="SEMEDGE_RECIPE",
    metavar="FILE",
    help="A recipe that `semedge recipe make` wrote, instead of detector and calibration.",
)
@click.option(
    "--calibration",
    type=FILE,
    envvar="SEMEDGE_CALIBRATION",
    metavar="FILE",
    help="The calibration that `semedge calibrate` wrote for this detector.",
)
@click.option(
    "--journal",
    type=FILE,
    envvar="SEMEDGE_JOURNAL",
    default="semedge-journal.sqlite",
    show_default=True,
    metavar="FILE",
    help="Where alerts and their deliveries are kept.",
)
@click.option(
    "--pictures",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="SEMEDGE_PICTURES",
    default="semedge-pictures",
    show_default=True,
    metavar="DIR",
    help="Where the pictures of alerts are kept.",
)
@stride_option("stride", envvar="SEMEDGE_STRIDE")
@workers_option(envvar="SEMEDGE_WORKERS")
@click.option(
    "--timeout-s",
    type=click.FloatRange(min=0, min_open=True),
    envvar="SEMEDGE_TIMEOUT_S",
    default=FROM_THE_FILE["timeout_s"],
    show_default=True,
    metavar="S",
    help="Longest time without a frame before the camera counts as stalled.",
)
@click.option(
    "--stop-after-stalled-s",
    type=click.FloatRange(min=0, min_open=True),
    envvar="SEMEDGE_STOP_AFTER_STALLED_S",
    metavar="S",
    help="Give up on a camera that is silent so long; never where absent.",
)
@click.option(
    "--max-frames",
    type=click.IntRange(min=1),
    envvar="SEMEDGE_MAX_FRAMES",
    metavar="N",
    help="Stop after so many inspected frames.",
)
@click.option(
    "--loop",
    is_flag=True,
    envvar="SEMEDGE_LOOP",
    help="Start a folder or a video file again at its end.",
)
@click.option(
    "--require-check",
    is_flag=True,
    envvar="SEMEDGE_REQUIRE_CHECK",
    help="Judge only once `semedge check` was passed with what is in force.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line an event to stdout.")
@camera_options
@click.pass_context
def watch(
    ctx: click.Context,
    station: Path | None,
    camera: str | None,
    detector: Path | None,
    recipe: Path | None,
    calibration: Path | None,
    journal: Path,
    pictures: Path,
    stride: int | None,
    workers: int | None,
    timeout_s: float,
    stop_after_stalled_s: float | None,
    max_frames: int | None,
    loop: bool,
    require_check: bool,
    as_json: bool,
    camera_settings: CameraSettings,
) -> None:
    """Watch cameras and raise alerts.

    Each frame is scored, and one that scores above the calibration's threshold starts an alert:
    its pictures are written, it is stored in the journal, and then delivered; the first normal
    frame ends it. Ctrl-C ends the watch after the frame at hand.
    """
    read = ctx.find_object(Station) or Station()
    try:
        plan = _plan(ctx, read)
    except SemedgeError as error:
        raise click.UsageError(str(error)) from error
    choices = list(plan.cameras.values())
    if any(choice.detector is choice.recipe is None for choice in choices):
        logger.info(
            "Using the demo detector; it knows simulated fibres only.",
            extra={"event": "demo-detector"},
        )
    settings = WatchSettings(
        pictures,
        read.station.name,
        RunLimits(max_frames, stop_after_stalled_s),
        read.retention.settings(),
        require_check,
        SHORTEST_HANG_S + 3 * max(each.camera.timeout_s for each in choices),
    )
    lines = load_lines(choices)
    try:
        with held_alone(journal, IN_USE.format(journal)), Journal(journal) as opened:
            sinks = [ConsoleSink(as_json), *open_sinks(read.sinks)]
            page = None if read.web is None else PagePlan(read.web, journal, pictures)
            connections = Connections(sinks, page)
            summary = Watch(lines, opened, sinks, settings, plan, connections).run()
    finally:
        for line in lines:
            line.setup.detector.close()
    for sentence in summary.sentences():
        logger.info(sentence, extra={"event": "summary"})
    # What is left ends with the process, which would first look through it all for cycles: with an
    # OPC UA server half a second.
    gc.freeze()


def _plan(ctx: click.Context, station: Station) -> StationPlan:
    """What to watch, by the station file and what wins over it."""
    options = {**ctx.params, **_changed_since(ctx, station)}
    defaults = Defaults(
        camera=options["camera"],
        timeout_s=options["timeout_s"],
        loop=options["loop"],
        detector=options["detector"],
        stride_px=options["stride"],
        workers=options["workers"],
        calibration=options["calibration"],
        recipe=options["recipe"],
        camera_settings=settings_from(options),
    )
    choices = {choice.name: choice for choice in choose_lines(station, defaults)}
    path = ctx.params["station"]
    again = None if path is None else lambda: _plan(ctx, load_station(path))
    return StationPlan(choices, station.station.recipes, again)


def _changed_since(ctx: click.Context, station: Station) -> dict[str, Any]:
    """Settings of the file as it is now, where neither flags nor variables win over them."""
    given = station.options()
    return {
        name: given.get(name, otherwise)
        for name, otherwise in FROM_THE_FILE.items()
        if ctx.get_parameter_source(name) in BELOW_FLAGS
    }

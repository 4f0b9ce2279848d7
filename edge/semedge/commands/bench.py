"""`semedge bench`."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from semedge.cameras import open_camera
from semedge.commands.scoring_options import stride_option
from semedge.commands.setting_options import FILE
from semedge.core.console import print_json, table_console
from semedge.core.frame import Frame
from semedge.inference.benchmark import Pace, Workload, choose, counted, measure
from semedge.inference.bundle import Bundle, read_bundle, read_demo_bundle
from semedge.inference.detector import Detector
from semedge.inference.grid import PatchGrid
from semedge.inference.interpreter import worker_count
from semedge.inference.network_input import FrameGeometry
from semedge.station.config.edit import detector_tables, write_workers

logger = logging.getLogger(__name__)

SIZE = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})")
SMALLEST_PX = 32
LARGEST_PX = 16384
FEW_FRAMES = 100
FRAMES = 3
"""Number of simulated frames, which are scored repeatedly."""
"""With fewer, the 99th percentile is little more than the slowest frame."""


def _size(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    """Width and height."""
    match = SIZE.fullmatch(value)
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(SMALLEST_PX <= side <= LARGEST_PX for side in sides):
        raise click.BadParameter(
            f"must read WIDTHxHEIGHT in pixels, such as 1024x700, each from {SMALLEST_PX} to "
            f"{LARGEST_PX}. Received: {value!r}"
        )
    return sides


@click.command()
@click.argument("detector", type=FILE, required=False, metavar="[DETECTOR]")
@click.option(
    "--size",
    "size_px",
    callback=_size,
    default="1024x700",
    show_default=True,
    metavar="WxH",
    help="Width and height of the frames, in pixels.",
)
@stride_option()
@click.option(
    "--seconds",
    "duration_s",
    type=click.FloatRange(0.1, 3600),
    default=40.0,
    show_default=True,
    metavar="S",
    help="Time to score, for all numbers of workers together.",
)
@click.option(
    "--write",
    "station",
    type=FILE,
    metavar="STATION",
    help="Write the best number of workers into this station file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def bench(
    detector: Path | None,
    size_px: tuple[int, int],
    stride_px: int | None,
    duration_s: float,
    station: Path | None,
    as_json: bool,
) -> None:
    """Measure how fast a detector is on this machine, and with how many workers.

    Scores simulated frames with each number of workers in turn; the default DETECTOR is the demo
    detector. Stop other programs first, or start those that will run beside the station.
    """
    bundle = read_demo_bundle() if detector is None else read_bundle(detector)
    tables = [] if station is None else detector_tables(station, bundle)
    load = Workload(detector, stride_px, simulated_frames(size_px))
    facts = _facts(bundle, load)
    logger.info(f"{_sentence(bundle, facts)} This takes {duration_s:g} s.")
    paces = measure(load, duration_s)
    best = choose(paces)
    if station is not None:
        write_workers(station, tables, best.workers)
    if as_json:
        print_json(
            {
                **facts,
                "settings": [asdict(pace) for pace in paces],
                "best": {"workers": best.workers},
                "written": None if station is None else str(station),
            }
        )
    else:
        _print(paces, best)
    logger.info(_advice(best, station, tables))


def simulated_frames(size_px: tuple[int, int]) -> tuple[Frame, ...]:
    """Frames of this width and height to measure on."""
    width, height = size_px
    return tuple(open_camera(f"sim:1?size={width}x{height}&frames={FRAMES}"))


def _facts(bundle: Bundle, load: Workload) -> dict[str, Any]:
    """The conditions of the measurement."""
    with Detector(bundle, stride_px=load.stride_px, workers=1) as loaded:
        height, width = load.frames[0].shape
        grid = PatchGrid((height, width), loaded.patch_px, loaded.stride_px)
        return {
            "detector": {
                "name": bundle.name,
                "sha256": bundle.sha256,
                "detector": bundle.manifest.detector,
                "score": loaded.score_name,
                "quantization": bundle.manifest.quantization,
                "kind": "frame" if isinstance(bundle.manifest.input, FrameGeometry) else "patch",
            },
            "runtime": loaded.runtime,
            "cores": worker_count(None),
            "frame_px": [width, height],
            "stride_px": loaded.stride_px,
            "patches": len(grid),
            "batch": loaded.batch,
        }


def _sentence(bundle: Bundle, facts: dict[str, Any]) -> str:
    width, height = facts["frame_px"]
    scores = (
        f"{facts['patches']:,} patches in batches of {facts['batch']}"
        if facts["detector"]["kind"] == "patch"
        else f"as a whole, {facts['patches']:,} scores"
    )
    return (
        f"{bundle.name} ({bundle.manifest.detector}, {facts['detector']['score']}, "
        f"{bundle.manifest.quantization}) on frames of {width}x{height} px, {scores}, stride "
        f"{facts['stride_px']} px; {facts['runtime']}, {facts['cores']} cores."
    )


def _print(paces: list[Pace], best: Pace) -> None:
    from rich.table import Table

    console = table_console()
    table = Table(title="A frame, from the picture to the score of every pixel")
    for name in ("workers", "frames/s", "p50 ms", "p95 ms", "p99 ms", "memory MB", "frames"):
        table.add_column(name, justify="right")
    for pace in paces:
        whole = pace.stages_ms["whole"]
        table.add_row(
            f"{'* ' if pace is best else ''}{pace.workers}",
            f"{pace.frames_per_s:.1f}",
            *(f"{value:.1f}" for value in (whole.p50, whole.p95, whole.p99)),
            f"{pace.memory_mb:.0f}",
            f"{pace.frames:,}",
        )
    console.print(table)
    stages = Table(title=f"Its stages with {counted(best.workers)}")
    stages.add_column("stage")
    for name in ("p50 ms", "p95 ms", "p99 ms"):
        stages.add_column(name, justify="right")
    for stage, times in best.stages_ms.items():
        stages.add_row(stage, *(f"{value:.2f}" for value in (times.p50, times.p95, times.p99)))
    console.print(stages)
    if any(pace.frames < FEW_FRAMES for pace in paces):
        logger.info(
            f"With fewer than {FEW_FRAMES} frames, the 99th percentile is little more than the "
            "slowest frame; give more --seconds."
        )


def _advice(best: Pace, station: Path | None, tables: list[tuple[str, ...]]) -> str:
    if station is None:
        return (
            f"Best: {counted(best.workers)}; write it into a station file with --write, or give "
            f"`semedge watch` --workers {best.workers}."
        )
    places = ", ".join(f"[{'.'.join(table)}]" for table in tables)
    return f"Best: {counted(best.workers)}, written into {station} under {places}."

"""`semedge ablate`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import click

from semedge.commands.camera_options import crop_option
from semedge.core.console import print_json
from semedge.core.errors import SemedgeError
from semedge.inference.manifest import Quantization
from semedge_trainer.ablation.plan import ANOGAN_PATCHES, FLIPPINGS, TABLES, AblationRequest
from semedge_trainer.extra import need_tensorflow

logger = logging.getLogger(__name__)


def _names(ctx: click.Context, parameter: click.Parameter, value: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in value.split(",")))


def _seeds(
    ctx: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> dict[str | None, list[int]]:
    """The seeds of each detector that is named, and under None those of the others."""
    chosen: dict[str | None, list[int]] = {None: [0]}
    for value in values:
        name, equals, listed = value.rpartition("=")
        try:
            seeds = [int(text) for text in listed.split(",")]
        except ValueError:
            raise click.BadParameter(
                f"must read such as 0,1 or bigan=0,1. Received: {value!r}"
            ) from None
        if min(seeds) < 0:
            raise click.BadParameter(f"must not be negative. Received: {value!r}")
        chosen[name.strip() if equals else None] = list(dict.fromkeys(seeds))
    return chosen


def _seeds_of_each(
    chosen: Mapping[str | None, list[int]], detectors: Sequence[str]
) -> dict[str, list[int]]:
    for name in chosen:
        if name is not None and name not in detectors:
            raise click.BadParameter(
                f"names a detector that is not among --detectors ({', '.join(detectors)}). "
                f"Received: {name!r}",
                param_hint="'--seeds'",
            )
    return {name: chosen.get(name, chosen[None]) for name in detectors}


@click.command()
@click.option(
    "--images",
    required=True,
    metavar="SOURCE",
    help="Normal frames to train on: a folder, a glob or a file.",
)
@click.option(
    "--test-images",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Frames to measure on.",
)
@click.option(
    "--masks",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A mask for each of these frames, named as for `semedge evaluate`.",
)
@crop_option
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of cells, logs and tables; cells that are finished there are not computed again.",
)
@click.option(
    "--detectors",
    callback=_names,
    default=",".join(TABLES),
    show_default=True,
    metavar="LIST",
    help="Detectors to train: any that have the three stabilizations.",
)
@click.option(
    "--seeds",
    callback=_seeds,
    multiple=True,
    metavar="[DETECTOR=]LIST",
    help="Seeds that each cell is trained with, such as 0,1, or those of one detector, such as "
    "bigan=0,1,2; may be given several times; default: 0.",
)
@click.option(
    "--schedule", default="fast", show_default=True, help="Schedule, as for `semedge train`."
)
@click.option(
    "--steps", type=click.IntRange(1), help="Shorten each training to this number of steps."
)
@click.option(
    "--label-flipping",
    type=click.Choice(FLIPPINGS),
    default=FLIPPINGS[0],
    show_default=True,
    help="What LF does: flip labels early in the training, at random throughout, or swap those "
    "of discriminator and generator permanently, which only renames them.",
)
@click.option(
    "--mixed-precision",
    is_flag=True,
    help="Train and search in mixed precision, as `semedge train` does.",
)
@click.option(
    "--quantization",
    type=click.Choice(get_args(Quantization)),
    help="Export each detector and measure that; default: measure the trained networks.",
)
@click.option(
    "--test-frames",
    type=click.IntRange(1),
    metavar="N",
    help="Measure on this number of frames, evenly spread; default: all.",
)
@click.option(
    "--patches",
    type=click.IntRange(1),
    metavar="N",
    help="Measure a seeded sample of about N patches; default: all.",
)
@click.option(
    "--anogan-patches",
    type=click.IntRange(1),
    default=ANOGAN_PATCHES,
    show_default=True,
    metavar="N",
    help="Measure AnoGAN, which needs a search for every patch, on a seeded sample of N patches, a "
    "third of them anomalous.",
)
@click.option(
    "--anogan-steps",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    metavar="N",
    help="Steps of AnoGAN's search.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of cells that are computed in parallel.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="Cores of each cell; default: all divided by --jobs, or one on a cluster.",
)
@click.option(
    "--ray", "cluster", metavar="ADDRESS", help="Compute on this Ray cluster (extra: cluster)."
)
@click.option(
    "--timeout-s",
    type=click.FloatRange(min=0, min_open=True),
    default=86400.0,
    show_default=True,
    help="Longest time for a cell; one that takes longer is ended.",
)
@click.option("--keep-runs", is_flag=True, help="Keep the run folders of finished cells.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document when done.")
def ablate(
    out: Path,
    jobs: int,
    threads: int | None,
    cluster: str | None,
    timeout_s: float,
    keep_runs: bool,
    as_json: bool,
    detectors: list[str],
    seeds: dict[str | None, list[int]],
    **requested: Any,
) -> None:
    """Compute the thesis's tables 51-55.

    Trains each detector with each of the 8 subsets of instance noise (IN), soft labels (SL) and
    label flipping (LF), measures it on patches at stride 16, and writes the tables as Markdown,
    CSV and LaTeX. An ablation that was stopped resumes when the same command is run again.
    """
    request = AblationRequest(seeds=_seeds_of_each(seeds, detectors), **requested)
    need_tensorflow(gpus=False)
    from semedge_trainer.ablation.ablate import Execution
    from semedge_trainer.ablation.ablate import ablate as run_ablation
    from semedge_trainer.ablation.tables import as_markdown

    execution = Execution(out, jobs, threads, cluster, timeout_s, keep_runs)
    try:
        ablation = run_ablation(request, execution)
    except KeyboardInterrupt as error:
        logger.info(
            f"Stopped; what is finished is in {out}, and the same command resumes from there."
        )
        raise click.Abort from error
    if as_json:
        print_json(
            {
                "cells": [
                    {"settings": settings.model_dump(), "result": result.model_dump()}
                    for settings, result in ablation.results.items()
                ],
                "failures": ablation.failures,
            }
        )
    else:
        click.echo(as_markdown(detectors, ablation.results), nl=False)
    if ablation.failures:
        raise SemedgeError(
            f"{len(ablation.failures)} of {ablation.cells} cells failed "
            f"({', '.join(ablation.failures)}); see {out / 'logs'}, then give the same command "
            "again."
        )

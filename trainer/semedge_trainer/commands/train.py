"""`semedge train`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, get_args

import click

from semedge.commands.camera_options import frame_options, take_view
from semedge.core.console import print_json
from semedge.inference.scaling import Scaling
from semedge_trainer.commands.detector_names import BEST, check_name
from semedge_trainer.extra import need_package
from semedge_trainer.training.begin import begin_training

logger = logging.getLogger(__name__)


def _settings(
    ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> dict[str, str]:
    pairs = [text.partition("=") for text in value]
    for name, equals, _ in pairs:
        if not equals:
            raise click.BadParameter(f"must read NAME=VALUE. Received: {name!r}")
    return {name: text for name, _, text in pairs}


@click.command()
@click.option(
    "--detector",
    default=BEST,
    show_default=True,
    help="Name of the detector; `semedge detectors` lists them.",
)
@click.option("--images", metavar="SOURCE", help="Normal frames: a folder, a glob or a file.")
@frame_options
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="RUN", help="The run folder."
)
@click.option(
    "--schedule",
    default="fast",
    show_default=True,
    help="fast: minutes on a CPU; appendix: rates and 50 epochs of the thesis's appendix A, days "
    "on a CPU; author: epochs of the author's code, where these differ.",
)
@click.option(
    "--steps", type=click.IntRange(1), help="Shorten the schedule to this number of steps in all."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**20),
    default=0,
    show_default=True,
    help="Seed of all random numbers.",
)
@click.option(
    "--option",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="NAME=VALUE",
    help="A variant of the detector, such as xx=true; repeatable.",
)
@click.option(
    "--scaling",
    type=click.Choice(get_args(Scaling)),
    default="range",
    show_default=True,
    help="range keeps brightness; patch standardizes each patch, for comparison.",
)
@click.option(
    "--mixed-precision",
    is_flag=True,
    help="Compute in bfloat16 where it is safe, or in float16 on a GPU that has no bfloat16.",
)
@click.option(
    "--devices",
    metavar="LIST",
    help=(
        "Devices to train on, such as gpu:0,gpu:1, or all for every GPU; default: the first GPU, "
        "else the CPU."
    ),
)
@click.option(
    "--jit-compile/--no-jit-compile",
    default=None,
    help="Let XLA compile a training step; default: only on a GPU.",
)
@click.option(
    "--deterministic",
    is_flag=True,
    help="Use operations that give the same results each time; they are slower on a GPU.",
)
@click.option(
    "--validation-share",
    type=click.FloatRange(0, 0.5),
    default=0.0,
    show_default=True,
    help="Hold this share of each frame, its lower rows, out of the training, and end a stage when "
    "their reconstruction or energy gets no better.",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Validations without improvement, one every 100 steps, after which a stage ends.",
)
@click.option("--resume", is_flag=True, help="Resume the training in RUN.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document when done.")
def train(
    detector: str,
    images: str | None,
    out: Path,
    devices: str | None,
    jit_compile: bool | None,
    deterministic: bool,
    resume: bool,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Train a detector on normal frames, for comparison and research.

    For a line, learn the material with `semedge learn` instead, which needs no training.

    RUN then holds checkpoints, losses (CSV and TensorBoard), pictures and, when done, the
    weights. A training that was stopped, at whatever moment, resumes with --resume.
    """
    need_package("tensorflow", "TensorFlow")
    if images is None and not resume:
        raise click.UsageError("Give normal frames with --images, or --resume.")
    begun = begin_training(
        out,
        images,
        devices.split(",") if devices else None,
        resume=resume,
        deterministic=deterministic,
        detector="" if resume else check_name(detector),
        view=take_view(wanted),
        **wanted,
    )
    record = begun.run.record
    if not begun.run.finished:
        work = f"{sum(record.steps.values())} steps of {record.batch} patches"
        if not record.learning_rates:
            work = "a fit"
        logger.info(f"Training {record.detector} on {len(begun.frames.images)} frames: {work}.")
        try:
            begun.finish(jit_compile)
        except KeyboardInterrupt as error:
            logger.info(f"Stopped; resume with `semedge train --resume --out {out}`.")
            raise click.Abort from error
    logger.info(f"Done: {out}. Next: semedge export {out} --out DETECTOR.semedge")
    if as_json:
        print_json({"run": str(out), **record.model_dump(mode="json")})

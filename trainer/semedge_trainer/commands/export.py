"""`semedge export`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import get_args

import click

from semedge.core.console import print_json
from semedge.core.errors import SemedgeError
from semedge.decision.fields import parse_fields
from semedge.inference.manifest import Quantization
from semedge_trainer.extra import need_tensorflow

logger = logging.getLogger(__name__)


def _tile(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """Height and width."""
    try:
        width, height = (0, 0) if value is None else parse_fields(value)
    except SemedgeError as error:
        raise click.BadParameter(
            f"must read WIDTHxHEIGHT, such as 640x480. Received: {value!r}"
        ) from error
    return None if value is None else (height, width)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DETECTOR",
    help="The bundle to write.",
)
@click.option(
    "--quantization",
    type=click.Choice(get_args(Quantization)),
    default="int8",
    show_default=True,
    help=(
        "Number format of the graphs: qat is int8 with quantization-aware fine-tuning, int8 is "
        "int8 after training."
    ),
)
@click.option("--score", metavar="NAME", help="The score that frames are judged by.")
@click.option("--only-score", is_flag=True, help="Leave out graphs that this score does not need.")
@click.option(
    "--stride",
    type=click.IntRange(1, 32),
    metavar="PX",
    help="Distance between patches; by default a whole patch. At other multiples of 4 px, "
    "encoders without padding run fully convolutionally.",
)
@click.option(
    "--tile",
    "tile",
    callback=_tile,
    metavar="WxH",
    help="Size of the tiles of a whole-frame detector, in the network's pixels and multiples of "
    "16; by default the size that suits the training frames best.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON document.")
def export(
    run: Path,
    out: Path,
    quantization: Quantization,
    score: str | None,
    only_score: bool,
    stride: int | None,
    tile: tuple[int, int] | None,
    as_json: bool,
) -> None:
    """Turn a training run into a detector bundle (TFLite).

    The bundle records how the exported scores compare with those of the trained networks.
    """
    need_tensorflow()
    from semedge_trainer.export.export import export_run
    from semedge_trainer.export.exporter import ExportRequest
    from semedge_trainer.training.run import Run

    request = ExportRequest(quantization, score, only_score, stride, tile)
    manifest = export_run(Run.open(run), out, request)
    chosen = manifest.parity[manifest.score.name]
    logger.info(
        f"{out}: {manifest.detector}, {manifest.quantization}, "
        f"{out.stat().st_size / 1e6:.2f} MB; score {manifest.score.name}, rank correlation with "
        f"the trained detector {chosen.rank_correlation:.4f}. "
        f"Next: semedge calibrate --detector {out} --images NORMAL"
    )
    if as_json:
        print_json(manifest.model_dump(mode="json"))

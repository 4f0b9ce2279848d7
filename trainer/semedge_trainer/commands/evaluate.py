"""`semedge evaluate`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console
from rich.table import Table

from semedge.bundle import Bundle, read_bundle
from semedge.calibrating import load_calibration
from semedge.console import print_json, progress, say
from semedge.detector import Detector
from semedge.errors import SemedgeError
from semedge.files import write_atomically
from semedge_calibration import Calibration
from semedge_trainer.evaluation import (
    EvaluationProtocol,
    MultiScorer,
    PixelProtocol,
    Row,
    ScoredFrame,
    ThesisProtocol,
    measure_scores,
    score_frames,
    score_names,
)
from semedge_trainer.floors import Floors
from semedge_trainer.frames import read_training_frames
from semedge_trainer.masks import match_masks
from semedge_trainer.metrics import Measures, OperatingPoint
from semedge_trainer.pictures import write_pictures

ProtocolChoice = Literal["thesis", "pixel", "both"]
Results = Mapping[str, tuple[EvaluationProtocol, Sequence[ScoredFrame], Sequence[Row]]]

FLOOR_FRAMES = 64
"""Normal frames that the floors are fitted on at most."""
TABLE_WIDTH = 140


@click.command()
@click.option(
    "--detector",
    "detector_path",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DETECTOR",
    help="The bundle to measure.",
)
@click.option(
    "--images",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Frames, anomalous or not.",
)
@click.option(
    "--masks",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A mask for each frame: NAME, NAME_gt or NAME_mask, above 0 where it is anomalous.",
)
@click.option(
    "--protocol",
    "choice",
    type=click.Choice(["thesis", "pixel", "both"]),
    default="both",
    show_default=True,
    help="thesis: patches at stride 16, anomalous above 20 mask pixels; pixel: every pixel.",
)
@click.option("--score", "scores", multiple=True, metavar="NAME", help="A score; may be repeated.")
@click.option("--all-scores", is_flag=True, help="Every score that the bundle holds.")
@click.option(
    "--floors",
    "normal_source",
    metavar="NORMAL",
    help="Also measure plain statistics and PCA, fitted on these normal frames.",
)
@click.option(
    "--calibration",
    "calibration_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also measure at this calibrated threshold.",
)
@click.option(
    "--stride",
    "stride_px",
    type=click.IntRange(1),
    metavar="PX",
    help="Distance between patches in the pixel protocol; default: the detector's own.",
)
@click.option("--workers", type=click.IntRange(1), help="Scoring threads; default: all cores.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write metrics.json, and of each frame its mask and heat map.",
)
def evaluate(
    detector_path: Path,
    images: Path,
    masks: Path,
    choice: ProtocolChoice,
    scores: tuple[str, ...],
    all_scores: bool,
    normal_source: str | None,
    calibration_path: Path | None,
    stride_px: int | None,
    workers: int | None,
    as_json: bool,
    report: Path | None,
) -> None:
    """Measure a detector on frames with defect masks.

    The bundle runs as on the edge. The oracle's threshold is the one of the best F1, which only
    the masks tell; what a line can have is the calibrated one.
    """
    if scores and all_scores:
        raise click.UsageError("Give --score or --all-scores, not both.")
    if choice == "thesis" and (report or stride_px):
        raise click.UsageError("--report and --stride need the pixel protocol.")
    bundle = read_bundle(detector_path)
    names = _names(bundle, scores, all_scores)
    protocols = _protocols(choice, stride_px or bundle.manifest.stride_px)
    calibration = _calibration(calibration_path, bundle, stride_px, names)
    thresholds = {calibration.score_name: calibration.threshold} if calibration else {}
    frames = match_masks(images, masks)
    floors = None if normal_source is None else _fit_floors(normal_source, bundle)
    with MultiScorer(bundle, names, workers) as scorer:
        scored = score_frames(scorer, progress(frames, "Scoring", len(frames)), protocols, floors)
    results = {
        protocol.name: (
            protocol,
            scored[protocol.name],
            measure_scores(protocol, scored[protocol.name], thresholds),
        )
        for protocol in protocols
    }
    document = _document(bundle, calibration, results)
    if report is not None:
        _, pixel_frames, rows = results["pixel"]
        write_pictures(report, pixel_frames, rows[0])
        write_atomically(report / "metrics.json", (json.dumps(document, indent=1) + "\n").encode())
        say(f"Wrote {len(pixel_frames)} pictures and metrics.json to {report}.")
    if as_json:
        print_json(document)
    else:
        _print_tables(results)


def _names(bundle: Bundle, scores: tuple[str, ...], all_scores: bool) -> list[str]:
    if all_scores:
        return score_names(bundle)
    return list(dict.fromkeys(scores)) or [bundle.manifest.score.name]


def _protocols(choice: ProtocolChoice, stride_px: int) -> list[EvaluationProtocol]:
    protocols: list[EvaluationProtocol] = [ThesisProtocol(), PixelProtocol(stride_px)]
    return [protocol for protocol in protocols if choice in (protocol.name, "both")]


def _calibration(
    path: Path | None, bundle: Bundle, stride_px: int | None, names: Sequence[str]
) -> Calibration | None:
    if path is None:
        return None
    with Detector(bundle, stride_px=stride_px, workers=1) as detector:
        calibration = load_calibration(path, detector)
    if calibration.score_name not in names:
        raise SemedgeError(
            f"The calibration {path} is for the score {calibration.score_name}, which is not "
            f"measured; add --score {calibration.score_name}."
        )
    say(
        "The calibrated threshold is for the highest patch of a frame at stride "
        f"{calibration.grid.stride_px} px; on patches and pixels it is strict."
    )
    return calibration


def _fit_floors(source: str, bundle: Bundle) -> Floors:
    patch_px = bundle.manifest.input.patch_px
    return Floors.fit(read_training_frames(source, patch_px, FLOOR_FRAMES).images, patch_px)


def _document(bundle: Bundle, calibration: Calibration | None, results: Results) -> dict[str, Any]:
    return {
        "detector": {
            "path": bundle.name,
            "sha256": bundle.sha256,
            "name": bundle.manifest.detector,
            "quantization": bundle.manifest.quantization,
        },
        "calibration": calibration
        and {"score": calibration.score_name, "threshold": calibration.threshold},
        "protocols": {
            name: {
                "stride_px": protocol.stride_px,
                "scores": [asdict(row) for row in rows],
                "frames": [_frame_facts(frame) for frame in scored],
            }
            for name, (protocol, scored, rows) in results.items()
        },
    }


def _frame_facts(frame: ScoredFrame) -> dict[str, Any]:
    return {
        "image": str(frame.files.image_path),
        "anomalous_px": frame.anomalous_px,
        "patches": len(frame.grid),
        "highest": {name: float(scores.max()) for name, scores in frame.patch_scores.items()},
    }


def _print_tables(results: Results) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = TABLE_WIDTH
    for name, (protocol, scored, rows) in results.items():
        items = rows[0].items
        unit = "patches" if name == "thesis" else "pixels"
        share = items.anomalous / items.items
        console.print(
            f"{name} protocol: {len(scored)} frame{'s' * (len(scored) > 1)} at stride "
            f"{protocol.stride_px} px, {items.items:,} {unit}, {share:.2%} anomalous",
            soft_wrap=True,
        )
        table = Table()
        table.add_column("score", no_wrap=True)
        headings = ["AUROC", "95 %", "AP", "oracle P / R / F1"]
        calibrated = any(row.items.calibrated for row in rows)
        if calibrated:
            headings += ["calibrated P / R / F1", "anomalous flagged", "normal flagged"]
        for heading in headings:
            table.add_column(heading, justify="right")
        for row in rows:
            table.add_row(row.score, *_cells(row, calibrated))
        console.print(table)


def _cells(row: Row, calibrated: bool) -> list[str]:
    measures = row.items
    interval = measures.auroc_interval
    cells = [
        _shown(measures.auroc),
        "undefined" if interval is None else f"{interval[0]:.3f}-{interval[1]:.3f}",
        _shown(measures.average_precision),
        _point(measures.oracle, "undefined"),
    ]
    if calibrated:
        cells += [_point(measures.calibrated, "-"), *_alarmed(row.frames)]
    return cells


def _alarmed(frames: Measures) -> list[str]:
    """How many of the anomalous and of the normal frames the calibrated threshold flags."""
    point = frames.calibrated
    if point is None:
        return ["-", "-"]
    shares = (point.recall, point.false_alarm_share)
    counts = (frames.anomalous, frames.items - frames.anomalous)
    return [
        "none" if share is None else f"{round(share * count)} of {count}"
        for share, count in zip(shares, counts, strict=True)
    ]


def _point(point: OperatingPoint | None, absent: str) -> str:
    if point is None:
        return absent
    return " / ".join(_shown(value) for value in (point.precision, point.recall, point.f1))


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"

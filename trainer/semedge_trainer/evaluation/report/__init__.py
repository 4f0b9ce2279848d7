"""The report of an evaluation: one page that needs no other file, and its pictures beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from semedge.core.files import write_atomically
from semedge.core.version import __version__
from semedge.inference.overlay import encode_png
from semedge_trainer.evaluation.report import chapters
from semedge_trainer.evaluation.report.curves import histogram, precision_recall, roc
from semedge_trainer.evaluation.report.heat_maps import frame_views
from semedge_trainer.evaluation.report.losses import loss_curves
from semedge_trainer.evaluation.report.page import Chapter, fill_page
from semedge_trainer.evaluation.report.picture import CaptionedPictures, Picture, photograph
from semedge_trainer.evaluation.report.reconstructions import bundle_painter, reconstructions
from semedge_trainer.evaluation.report.spots import (
    VIEW_PX,
    Spot,
    view,
    worst_false_alarms,
    worst_misses,
)
from semedge_trainer.evaluation.results import Evaluation, Result

PAGE = "report.html"
MOST_FRAMES = 20
"""Frames on the page, which grows by at most 0.2 MB with each and stays below 5 MB."""
MOST_NAME = 48
"""Characters of a frame's name in that of its picture."""


def write_report(folder: Path, evaluation: Evaluation, command: str) -> None:
    """Write `report.html`, `metrics.json` and the pictures as files; the page last.

    Parameters
    ----------
    folder
        Where they go.
    evaluation
        What to report.
    command
        What a person would type to have it again.
    """
    document = json.dumps(evaluation.document(), indent=1) + "\n"
    write_atomically(folder / "metrics.json", document.encode())
    made = list(_chapters(folder, evaluation, command))
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    name = evaluation.subject["name"]
    page = fill_page(
        f"Evaluation of {name}",
        "How well its scores separate what is anomalous from what is normal.",
        made,
        f"Made by semedge {__version__}, {now}. metrics.json has every number.",
    )
    write_atomically(folder / PAGE, page)


def _chapters(folder: Path, evaluation: Evaluation, command: str) -> Iterator[Chapter]:
    results = evaluation.results
    yield chapters.summary(evaluation, command)
    yield chapters.scores(results)
    charts = {name: _charts(folder, name, result) for name, result in results.items()}
    yield chapters.curves(results, charts)
    if evaluation.bundle is None:
        losses = loss_curves(Path(evaluation.subject["path"]))
        for stage, picture in losses.items():
            write_atomically(folder / f"losses-{stage}.png", picture.content)
        if losses:
            yield chapters.losses(losses)
    chosen = results.get("pixel") or next(iter(results.values()))
    if chosen.by_pixel:
        yield chapters.heat_maps(_frames(folder, chosen), len(chosen.frames))
    bundle = evaluation.bundle
    paint = evaluation.paint if bundle is None else bundle_painter(bundle)
    pictures = {} if paint is None else reconstructions(paint, chosen)
    if pictures:
        for kind, picture in pictures.items():
            write_atomically(folder / f"reconstructions-{kind}.png", picture.content)
        yield chapters.reconstructions(pictures)
    yield chapters.misses(chosen, _spots(folder / "misses", worst_misses(chosen)))
    limit = float("-inf") if chosen.threshold is None else chosen.threshold
    alarms = [spot for spot in worst_false_alarms(chosen) if spot.score > limit]
    yield chapters.false_alarms(chosen, _spots(folder / "false-alarms", alarms))


def _charts(folder: Path, name: str, result: Result) -> list[Picture]:
    drawn = {
        "roc": roc(result),
        "precision-recall": precision_recall(result),
        "histogram": histogram(result),
    }
    charts = {kind: picture for kind, picture in drawn.items() if picture is not None}
    for kind, picture in charts.items():
        write_atomically(folder / f"{kind}-{name}.png", picture.content)
    return list(charts.values())


def _frames(folder: Path, result: Result) -> list[CaptionedPictures]:
    """Every frame in full size to a file; some of them for the page."""
    count = len(result.frames)
    on_page = {index * count // MOST_FRAMES for index in range(MOST_FRAMES)}
    on_page = set(range(count)) if count <= MOST_FRAMES else on_page
    shown = []
    for index, frame in enumerate(frame_views(result)):
        name = f"{index:04d}-{Path(frame.name).stem[:MOST_NAME]}.png"
        write_atomically(folder / "frames" / name, frame.png)
        if index in on_page:
            shown.append(chapters.frame_view(frame))
    return shown


def _spots(folder: Path, spots: list[Spot]) -> list[tuple[Spot, Picture]]:
    """Every place without loss to a file, and smaller for the page."""
    shown = []
    for place, spot in enumerate(spots, start=1):
        alt, picture = view(spot)
        write_atomically(folder / f"{place:02d}.png", encode_png(picture))
        shown.append((spot, photograph(alt, picture, VIEW_PX)))
    return shown

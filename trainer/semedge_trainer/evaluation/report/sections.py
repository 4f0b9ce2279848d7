"""What the report says, section by section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from semedge_trainer.evaluation.aupro import MOST_FALSE_POSITIVES
from semedge_trainer.evaluation.bootstrap import RESAMPLES
from semedge_trainer.evaluation.protocols import THESIS_MOST_NORMAL_PX
from semedge_trainer.evaluation.report.curves import MOST_CURVES
from semedge_trainer.evaluation.report.heat_maps import FrameView
from semedge_trainer.evaluation.report.page import (
    Section,
    block,
    facts,
    figure,
    figures,
    heading,
    note,
    table,
)
from semedge_trainer.evaluation.report.picture import Picture
from semedge_trainer.evaluation.report.spots import MARGIN_PX, Spot
from semedge_trainer.evaluation.report.tables import column_groups, key_figures
from semedge_trainer.evaluation.results import Evaluation, Result

FACTS = {
    "name": "detector",
    "quantization": "quantization",
    "path": "file",
    "sha256": "SHA-256 of the file",
    "steps": "training steps",
    "seed": "training seed",
    "options": "options",
    "chosen": "score that frames are judged by",
    "calibrated": "calibrated threshold",
    "fields_px": "width and height of a field, px",
    "patches_a_frame": "patches measured of each frame",
    "sample_seed": "seed of their choice",
    "search_steps": "steps of the search for a latent",
    "command": "command",
}
"""Of the summary, in its order: what a fact is called."""

HOW_TO_READ = (
    "The numbers are those of the score that frames are judged by; the tables have the others. "
    f"Below a number stands its 95 % interval, from {RESAMPLES} bootstrap resamples of the frames. "
    "The oracle's threshold is the one of the best F1, which only someone with masks can know; "
    "what a line can have is the calibrated one, set from normal frames. What these frames cannot "
    "tell is undefined, such as the recall where nothing is anomalous."
)


def summary(evaluation: Evaluation, command: str) -> Section:
    """What was measured, how, and what came of the chosen score."""
    parts = [facts(_facts(evaluation, command))]
    for result in evaluation.results.values():
        parts += [heading(result.headline), figures(key_figures(result))]
    return Section("summary", "Summary", [*parts, note(HOW_TO_READ)])


def scores(results: Mapping[str, Result]) -> Section:
    """Every measure of every score, one table a protocol."""
    parts = []
    for result in results.values():
        groups = column_groups(result)
        rows = {
            row.score: [cell(row) for group in groups for _, cell in group.columns]
            for row in result.rows
        }
        headline = result.headline
        parts += [heading(headline), table(headline, groups, rows), note(_rule(result))]
    return Section("scores", "Scores", parts)


def curves(results: Mapping[str, Result], charts: Mapping[str, Sequence[Picture]]) -> Section:
    """The charts of each protocol, by its name."""
    parts = []
    for name, result in results.items():
        panels = [figure([picture], picture.alt) for picture in charts[name]]
        parts += [heading(result.headline), block("charts", panels)]
        if result.rows[0].items.auroc is None:
            parts.append(note(f"Its ROC curve is undefined: all {result.unit} are of one kind."))
        if len(result.rows) > MOST_CURVES:
            parts.append(note(f"The chosen score and the {MOST_CURVES - 1} best of the others."))
    return Section("curves", "Curves", parts)


def heat_maps(views: Sequence[Markup], frames: int) -> Section:
    """Frames beside their masks and heat maps."""
    which = (
        f"{len(views)} of {frames} frames, evenly chosen" if len(views) < frames else "All frames"
    )
    about = (
        f"{which}: the frame, the contour of its mask, and its heat map, all maps on one scale. "
        "The folder frames/ beside this page has every frame in full size."
    )
    return Section("heat-maps", "Heat maps", [note(about), *views])


def frame_view(view: FrameView) -> Markup:
    """One frame, without its full size."""
    share = view.anomalous_share
    state = "no mask, known as normal" if share is None else f"{share:.2%} of its pixels anomalous"
    return figure(view.previews, f"{view.name}: highest score {view.highest:.4g}, {state}")


def reconstructions(pictures: Mapping[str, Picture]) -> Section:
    """Patches and what the networks make of them."""
    about = (
        "Patches from the lowest score of their kind on the left to the highest on the right, what "
        "the networks make of them, and the difference. The score stands above each."
    )
    parts = [
        figure([picture], f"{kind.capitalize()} patches") for kind, picture in pictures.items()
    ]
    return Section("reconstructions", "Reconstructions", [note(about), *parts])


def misses(result: Result, views: Sequence[tuple[Spot, Picture]]) -> Section:
    """The anomalous places with the lowest scores."""
    what = "regions of the masks, each with its highest score" if result.by_pixel else "patches"
    about = f"The lowest scores of anomalous {what}. {_at(result)}"
    return Section("misses", "Worst misses", _spots(about, views, result, "missed", "found"))


def false_alarms(result: Result, views: Sequence[tuple[Spot, Picture]]) -> Section:
    """The normal places with the highest scores."""
    where = f" at least {MARGIN_PX} px from any mask" if result.by_pixel else ""
    about = f"The highest scores of normal patches{where}, one of each place. {_at(result)}"
    found = _spots(about, views, result, "false alarm", "not flagged")
    return Section("false-alarms", "Worst false alarms", found)


def _at(result: Result) -> str:
    row = result.rows[0]
    if result.threshold is None:
        return "There is no threshold: nothing is anomalous and none was calibrated."
    kind = "calibrated" if row.items.calibrated else "oracle's"
    return f"The {kind} threshold of {row.score} is {result.threshold:.4g}."


def _spots(
    about: str, views: Sequence[tuple[Spot, Picture]], result: Result, wrong: str, right: str
) -> list[Markup]:
    """Places in their surroundings; those that are judged wrongly are marked so."""
    if not views:
        return [note(about), note("There is none.")]
    threshold = result.threshold
    shown = []
    for spot, picture in views:
        mark: Markup | str = ""
        if threshold is not None:
            flagged = spot.score > threshold
            bad = flagged != (wrong == "missed")
            mark = Markup('<span class="mark{}">{}</span>').format(
                " bad" if bad else "", wrong if bad else right
            )
        caption = Markup("{} score {:.4g}<br>{}<br>x {}, y {} px, {}x{} px").format(
            mark,
            spot.score,
            spot.files.image_path.name,
            spot.box.left,
            spot.box.top,
            spot.box.width,
            spot.box.height,
        )
        shown.append(figure([picture], caption))
    return [note(about), block("spots", shown)]


def _rule(result: Result) -> str:
    """How the items of a result are scored and judged."""
    judged = (
        f"{result.part_unit.capitalize()} have the score of their highest patch, and are anomalous "
        "if any pixel of their mask is set."
    )
    if result.by_pixel:
        return (
            "A pixel's score is the mean over the patches that cover it. AUPRO is the mean share "
            "of a connected region of the masks that is flagged, averaged over the thresholds that "
            f"flag at most {MOST_FALSE_POSITIVES:.0%} of the normal pixels. {judged}"
        )
    return (
        f"A patch is anomalous if more than {THESIS_MOST_NORMAL_PX} pixels of its mask are set. "
        f"{judged}"
    )


def _facts(evaluation: Evaluation, command: str) -> dict[str, str]:
    chosen = next(iter(evaluation.results.values())).rows[0].score
    given = {**evaluation.subject, **evaluation.settings, "chosen": chosen, "command": command}
    calibration = evaluation.calibration
    if calibration is not None:
        given["calibrated"] = f"{calibration.threshold:.4g} of {calibration.score_name}"
    return {name: _text(given[key]) for key, name in FACTS.items() if given.get(key) is not None}


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {each}" for name, each in value.items()) or "none"
    if isinstance(value, tuple):
        return " x ".join(map(str, value))
    return str(value)

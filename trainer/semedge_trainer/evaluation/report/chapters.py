"""What the report says, chapter by chapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from semedge_trainer.evaluation.aupro import MOST_FALSE_POSITIVES
from semedge_trainer.evaluation.bootstrap import RESAMPLES
from semedge_trainer.evaluation.protocols import THESIS_MOST_NORMAL_PX
from semedge_trainer.evaluation.report.curves import MOST_CURVES
from semedge_trainer.evaluation.report.heat_maps import FrameView
from semedge_trainer.evaluation.report.page import Chapter
from semedge_trainer.evaluation.report.picture import CaptionedPictures, Picture
from semedge_trainer.evaluation.report.spots import MARGIN_PX, Spot
from semedge_trainer.evaluation.report.tables import column_groups, key_numbers
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
    "search_precision": "precision of that search",
    "command": "command",
}
"""Names of the facts in the summary, in its order."""

HOW_TO_READ = (
    "The numbers are those of the score that frames are judged by; the tables have the others. "
    f"Below a number stands its 95 % interval, from {RESAMPLES} bootstrap resamples of the frames. "
    "The oracle's threshold is the one of the best F1, which only someone with masks can know; "
    "what a line can have is the calibrated one, set from normal frames. What these frames do "
    "not determine is undefined, such as the recall where nothing is anomalous."
)


def summary(evaluation: Evaluation, command: str) -> Chapter:
    """What was measured, how, and what came of the chosen score."""
    numbers = {result.headline: key_numbers(result) for result in evaluation.results.values()}
    return Chapter(
        "summary",
        "Summary",
        "summary.html",
        {
            "facts": _facts(evaluation, command),
            "numbers": numbers,
            "how_to_read": HOW_TO_READ,
        },
    )


def scores(results: Mapping[str, Result]) -> Chapter:
    """Every metric of every score, one table a protocol."""
    tables = []
    for result in results.values():
        groups = column_groups(result)
        rows = {
            row.score: [cell(row) for group in groups for _, cell in group.columns]
            for row in result.rows
        }
        rule = _rule(result)
        tables.append({"headline": result.headline, "groups": groups, "rows": rows, "rule": rule})
    return Chapter("scores", "Scores", "scores.html", {"tables": tables})


def curves(results: Mapping[str, Result], charts: Mapping[str, Sequence[Picture]]) -> Chapter:
    """The charts of each protocol, by its name."""
    protocols = []
    for name, result in results.items():
        notes = []
        if result.rows[0].samples.auroc is None:
            notes.append(f"Its ROC curve is undefined: all {result.unit} are of one kind.")
        if len(result.rows) > MOST_CURVES:
            notes.append(f"The chosen score and the {MOST_CURVES - 1} best of the others.")
        protocols.append({"headline": result.headline, "charts": charts[name], "notes": notes})
    return Chapter("curves", "Curves", "curves.html", {"protocols": protocols})


def heat_maps(views: Sequence[CaptionedPictures], frames: int) -> Chapter:
    """Frames beside their masks and heat maps; `views` are those of some of the frames."""
    which = (
        f"{len(views)} of {frames} frames, evenly chosen" if len(views) < frames else "All frames"
    )
    about = (
        f"{which}: the frame, the contour of its mask, and its heat map, all maps on one scale. "
        "The folder frames/ beside this page has every frame in full size."
    )
    return Chapter("heat-maps", "Heat maps", "pictures.html", {"about": about, "figures": views})


def frame_view(view: FrameView) -> CaptionedPictures:
    """One frame, without its full size."""
    share = view.anomalous_share
    state = "no mask, known as normal" if share is None else f"{share:.2%} of its pixels anomalous"
    caption = f"{view.name}: highest score {view.highest:.4g}, {state}"
    return CaptionedPictures(view.previews, caption)


def reconstructions(pictures: Mapping[str, Picture]) -> Chapter:
    """Patches and what the networks make of them."""
    about = (
        "Patches from the lowest score of their kind on the left to the highest on the right, what "
        "the networks make of them, and the difference. The score stands above each."
    )
    figures = [
        CaptionedPictures((picture,), f"{kind.capitalize()} patches")
        for kind, picture in pictures.items()
    ]
    return Chapter(
        "reconstructions", "Reconstructions", "pictures.html", {"about": about, "figures": figures}
    )


def losses(pictures: Mapping[str, Picture]) -> Chapter:
    """How the losses of the run's stages went."""
    figures = [
        CaptionedPictures((picture,), f"Stage {stage}") for stage, picture in pictures.items()
    ]
    about = "The losses of each stage of the training, every tenth step."
    return Chapter("losses", "Losses", "pictures.html", {"about": about, "figures": figures})


def misses(result: Result, views: Sequence[tuple[Spot, Picture]]) -> Chapter:
    """The anomalous places with the lowest scores."""
    what = "regions of the masks, each with its highest score" if result.by_pixel else "patches"
    about = f"The lowest scores of anomalous {what}. {_at(result)}"
    spots = [_judged(spot, picture, result.threshold, anomalous=True) for spot, picture in views]
    return Chapter("misses", "Worst misses", "spots.html", {"about": about, "spots": spots})


def false_alarms(result: Result, views: Sequence[tuple[Spot, Picture]]) -> Chapter:
    """The normal places with the highest scores."""
    where = f" at least {MARGIN_PX} px from any mask" if result.by_pixel else ""
    above = "" if result.threshold is None else " that are above the threshold"
    about = f"The highest scores of normal patches{where}{above}, one of each place. {_at(result)}"
    spots = [_judged(spot, picture, result.threshold, anomalous=False) for spot, picture in views]
    return Chapter(
        "false-alarms", "Worst false alarms", "spots.html", {"about": about, "spots": spots}
    )


@dataclass(frozen=True)
class JudgedSpot:
    """A place in its surroundings, and whether the threshold judges it rightly.

    Attributes
    ----------
    verdict, wrong
        What the threshold makes of it, and whether it is wrong; an empty text where there is no
        threshold.
    """

    picture: Picture
    score: str
    name: str
    place: str
    verdict: str
    wrong: bool


def _judged(
    spot: Spot, picture: Picture, threshold: float | None, *, anomalous: bool
) -> JudgedSpot:
    verdict, wrong = "", False
    if threshold is not None:
        flagged = spot.score > threshold
        wrong = flagged != anomalous
        if anomalous:
            verdict = "found" if flagged else "missed"
        else:
            verdict = "false alarm" if flagged else "not flagged"
    box = spot.box
    place = f"x {box.left}, y {box.top} px, {box.width}x{box.height} px"
    name = spot.files.image_path.name
    return JudgedSpot(picture, f"{spot.score:.4g}", name, place, verdict, wrong)


def _at(result: Result) -> str:
    row = result.rows[0]
    if result.threshold is None:
        return "There is no threshold: nothing is anomalous and none was calibrated."
    kind = "calibrated" if row.samples.calibrated else "oracle's"
    return f"The {kind} threshold of {row.score} is {result.threshold:.4g}."


def _rule(result: Result) -> str:
    """How the samples of a result are scored and judged."""
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

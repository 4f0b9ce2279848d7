"""What an evaluation found, as a document and as tables for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import NDArray
from rich.table import Table

from semedge.inference.bundle import Bundle
from semedge_calibration import Calibration
from semedge_trainer.evaluation.baselines import Baselines
from semedge_trainer.evaluation.bootstrap import Interval
from semedge_trainer.evaluation.masks import MaskedFrame
from semedge_trainer.evaluation.metrics import Metrics, OperatingPoint
from semedge_trainer.evaluation.protocols import EvaluationProtocol, PixelProtocol
from semedge_trainer.evaluation.scored_frames import (
    PatchSubset,
    ScoredFrame,
    ScoreMetrics,
    measure_scores,
    score_frames,
)
from semedge_trainer.evaluation.scorer import AnyScorer, Scores

Painter = Callable[[NDArray], tuple[Scores, Scores]]
"""Turns patches of frames, `(n, h, w, 1)`, into patches as they are scored and reconstructed."""

UNDEFINED = "undefined"
"""What is shown where the frames do not determine a metric."""


@dataclass(frozen=True)
class Result:
    """What was found under one protocol.

    Attributes
    ----------
    protocol
        Which samples were scored.
    frames
        The scored frames, those that are known as normal included.
    rows
        What was measured of each score, the chosen one first.
    part_unit
        What is judged as one: `frames`, or `fields` of them.
    """

    protocol: EvaluationProtocol
    frames: Sequence[ScoredFrame]
    rows: Sequence[ScoreMetrics]
    part_unit: str = "frames"

    @property
    def by_pixel(self) -> bool:
        """Whether the samples are pixels."""
        return isinstance(self.protocol, PixelProtocol)

    @property
    def sample(self) -> str:
        """What a sample is."""
        return "pixel" if self.by_pixel else "patch"

    @property
    def unit(self) -> str:
        """What the samples are."""
        return "pixels" if self.by_pixel else "patches"

    @property
    def threshold(self) -> float | None:
        """The calibrated threshold of the chosen score, or else the oracle's."""
        point = self.rows[0].samples.calibrated or self.rows[0].samples.oracle
        return None if point is None else point.threshold

    @property
    def verdict(self) -> str:
        """What a line would have seen, in a sentence."""
        found, alarmed = _alarmed(self.rows[0].frames)
        if self.rows[0].frames.calibrated is None:
            return "Give --calibration FILE to see how many frames raise an alarm."
        good = "no good frame was measured" if alarmed == "none" else f"{alarmed} good ones alarmed"
        return f"{found} defective frames found, {good}."

    @property
    def headline(self) -> str:
        """What was measured, in a line."""
        metrics = self.rows[0].samples
        masked = sum(frame.files.masked for frame in self.frames)
        normal = len(self.frames) - masked
        share = metrics.anomalous / metrics.count
        name = self.protocol.name.capitalize()
        return (
            f"{name} protocol: {masked} frame{'s' * (masked > 1)} at stride "
            f"{self.protocol.stride_px} px, {metrics.count:,} {self.unit}, {share:.2%} anomalous"
            + (f"; {normal} normal frame{'s' * (normal > 1)} beside them" if normal else "")
        )


@dataclass(frozen=True)
class Evaluation:
    """An evaluation from end to end.

    Attributes
    ----------
    subject
        What was measured: the bundle or the run, for people and for the record.
    settings
        What the figures depend on beside the protocol: chosen patches, search, fields.
    calibration
        The calibrated threshold, if one was given.
    results
        Results by the name of the protocol.
    bundle
        What was measured, for its reconstructions; None where it is no bundle.
    paint
        Reconstructs patches where no bundle can; None where nothing does.
    """

    subject: Mapping[str, Any]
    settings: Mapping[str, Any]
    calibration: Calibration | None
    results: Mapping[str, Result]
    bundle: Bundle | None = None
    paint: Painter | None = None

    def document(self) -> dict[str, Any]:
        """Everything but the scores themselves, ready for JSON."""
        calibration = self.calibration
        return {
            "detector": dict(self.subject),
            "settings": dict(self.settings),
            "calibration": calibration
            and {"score": calibration.score_name, "threshold": calibration.threshold},
            "protocols": {
                name: {
                    "stride_px": result.protocol.stride_px,
                    "scores": [_row_facts(row) for row in result.rows],
                    "frames": [_frame_facts(frame) for frame in result.frames],
                }
                for name, result in self.results.items()
            },
        }


def evaluate_frames(
    scorer: AnyScorer,
    frames: Iterable[MaskedFrame],
    protocols: Sequence[EvaluationProtocol],
    thresholds: Mapping[str, float],
    baselines: Baselines | None = None,
    subset: PatchSubset | None = None,
    fields_px: tuple[int, int] | None = None,
) -> dict[str, Result]:
    """Score the frames and measure every score, by the name of the protocol.

    `thresholds` holds the calibrated ones by score; the rest is as in `score_frames`.
    """
    scored = score_frames(scorer, frames, protocols, baselines, subset, fields_px)
    return {
        protocol.name: Result(
            protocol,
            scored[protocol.name],
            measure_scores(protocol, scored[protocol.name], thresholds),
            "fields" if fields_px else "frames",
        )
        for protocol in protocols
    }


def metrics_table(result: Result) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the metrics of every score, as texts."""
    regions = any(row.samples.aupro is not None for row in result.rows)
    calibrated = any(row.samples.calibrated for row in result.rows)
    judged = any(row.frames.auroc is not None for row in result.rows)
    headings = ["score", "AUROC", "95 %", "AP"]
    headings += ["AUPRO"] * regions + ["oracle P / R / F1"]
    if calibrated:
        headings += ["calibrated P / R / F1", "anomalous flagged", "normal flagged"]
    headings += [f"AUROC of {result.part_unit}", "95 %"] * judged
    rows = []
    for row in result.rows:
        metrics = row.samples
        cells = [row.score, shown(metrics.auroc), shown_interval(metrics.auroc_interval)]
        cells += [shown(metrics.average_precision)] + [shown(metrics.aupro)] * regions
        cells.append(_point(metrics.oracle, UNDEFINED))
        if calibrated:
            cells += [_point(metrics.calibrated, "-"), *_alarmed(row.frames)]
        if judged:
            cells += [shown(row.frames.auroc), shown_interval(row.frames.auroc_interval)]
        rows.append(cells)
    return headings, rows


def rich_table(result: Result) -> Table:
    """The metrics of every score for the terminal."""
    headings, rows = metrics_table(result)
    table = Table()
    table.add_column(headings[0], no_wrap=True)
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    for cells in rows:
        table.add_row(*cells)
    return table


def shown(value: float | None) -> str:
    """A share with three digits, or that it is not defined."""
    return UNDEFINED if value is None else f"{value:.3f}"


def shown_interval(interval: Interval | None, absent: str = UNDEFINED) -> str:
    """Its ends with three digits, or that it is not defined."""
    return absent if interval is None else f"{interval[0]:.3f}-{interval[1]:.3f}"


def _row_facts(row: ScoreMetrics) -> dict[str, Any]:
    return {
        "score": row.score,
        "items": _metrics_facts(row.samples),
        "frames": _metrics_facts(row.frames),
    }


def _metrics_facts(metrics: Metrics) -> dict[str, Any]:
    """The metrics; the document has their count as `items`."""
    facts = asdict(metrics)
    return {"items": facts.pop("count"), **facts}


def _frame_facts(frame: ScoredFrame) -> dict[str, Any]:
    return {
        "image": str(frame.files.image_path),
        "masked": frame.files.masked,
        "anomalous_px": frame.anomalous_px,
        "patches": len(frame.chosen),
        "highest": {name: float(scores.max()) for name, scores in frame.patch_scores.items()},
    }


def _alarmed(frames: Metrics) -> list[str]:
    """How many of the anomalous and of the normal frames the calibrated threshold flags."""
    point = frames.calibrated
    if point is None:
        return ["-", "-"]
    shares = (point.recall, point.false_alarm_share)
    counts = (frames.anomalous, frames.count - frames.anomalous)
    return [
        "none" if share is None else f"{round(share * count)} of {count}"
        for share, count in zip(shares, counts, strict=True)
    ]


def _point(point: OperatingPoint | None, absent: str) -> str:
    if point is None:
        return absent
    return " / ".join(shown(value) for value in (point.precision, point.recall, point.f1))

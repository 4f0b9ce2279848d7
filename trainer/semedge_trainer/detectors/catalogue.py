"""What there is to train: every detector with its section of the thesis and its scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from semedge_trainer.detectors import known_names, make_detector
from semedge_trainer.detectors.base import SearchedDetector


@dataclasses.dataclass(frozen=True)
class CatalogueEntry:
    """One detector.

    Attributes
    ----------
    name, thesis_section
        What it is called, and where the thesis describes it.
    scores
        Scores that it has with its options as they are, the default first.
    scores_of_options
        Scores that an option adds, by the option as `--option` takes it.
    options
        The options with their default values.
    schedules
        Steps of each stage by the schedule's name.
    edge_refusal
        Why the edge cannot run it, or None where it can.
    """

    name: str
    thesis_section: str
    scores: tuple[str, ...]
    scores_of_options: dict[str, tuple[str, ...]]
    options: dict[str, bool | int | float | str]
    schedules: dict[str, dict[str, int]]
    edge_refusal: str | None


def catalogue() -> list[CatalogueEntry]:
    """Every detector, semedge's own first."""
    return [_entry(name) for name in known_names()]


def _entry(name: str) -> CatalogueEntry:
    plain = make_detector(name, {}, "fast")
    scores = plain.score_names
    added = {}
    for setting in _switches(plain.options):
        option, _, value = setting.partition("=")
        more = set(make_detector(name, {option: value}, "fast").score_names) - set(scores)
        if more:
            added[setting] = tuple(sorted(more))
    return CatalogueEntry(
        name,
        plain.thesis_section,
        scores,
        added,
        dataclasses.asdict(plain.options),
        {name: dict(schedule.steps) for name, schedule in plain.schedules.items()},
        plain.edge_refusal if isinstance(plain, SearchedDetector) else None,
    )


def _switches(options: object) -> Iterator[str]:
    """Every value but the default one that an option with few values can take."""
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        if isinstance(field.default, bool):
            yield f"{field.name}={str(not field.default).lower()}"
        for choice in field.metadata.get("choices", ()):
            if choice != field.default:
                yield f"{field.name}={choice}"

"""The detectors by name. A new one is a file in this folder and a line in this table."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from semedge.errors import SemedgeError
from semedge_trainer.detectors.anogan import Anogan
from semedge_trainer.detectors.base import TrainableDetector, parse_options
from semedge_trainer.detectors.ebgan import Ebgan
from semedge_trainer.detectors.encebgan import Encebgan
from semedge_trainer.detectors.fanogan import Fanogan
from semedge_trainer.detectors.sencebgan import Sencebgan

DETECTORS: dict[str, type[TrainableDetector]] = {
    detector.name: detector
    for detector in (
        Anogan,
        Ebgan,
        Encebgan,
        Fanogan,
        Sencebgan,
    )
}


def make_detector(
    name: str, settings: Mapping[str, str], schedule: str, steps: int | None = None
) -> TrainableDetector:
    """The detector `name` with its options given as texts, on a schedule.

    `steps` shortens the schedule to that many steps over all stages.
    """
    if name not in DETECTORS:
        near = difflib.get_close_matches(name, DETECTORS, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise SemedgeError(
            f"There is no detector {name!r}; there are {', '.join(sorted(DETECTORS))}{hint}"
        )
    detector_class = DETECTORS[name]
    if schedule not in detector_class.schedules:
        raise SemedgeError(
            f"{name} has no schedule {schedule!r}; it has {', '.join(detector_class.schedules)}."
        )
    options = parse_options(detector_class.options_class, settings)
    return detector_class(options, detector_class.schedules[schedule].limited(steps))

"""Whether the guarantee holds after learning again: `python benchmarks/relearning.py`.

A toy station in two dimensions: its detector is the distance to the nearest frame that it was
fitted to, and its threshold the tolerance limit of 59 normal frames, which proves 5 % with 95 %
confidence. It inspects 1,500 normal frames; up to twelve that alarm are fitted to, and the
threshold is set anew. The promise fails where more than 5 % of new frames alarm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semedge_calibration import calibrate_threshold

Points = NDArray[np.float64]

STATIONS = 1_500
FIT, CALIBRATE, INSPECTED, NEW = 60, 59, 1_500, 4_000
MOST_ALARMS = 12
RATE = 0.05
SECOND_KIND = 0.02
"""Share of the frames that are of a rarer kind."""


def draw(random: np.random.Generator, count: int) -> Points:
    """Normal frames."""
    points = random.normal(size=(count, 2))
    rare = random.random(count) < SECOND_KIND
    points[rare] += random.choice([-1, 1], size=(int(rare.sum()), 2)) * 3.5
    return points


def scores(fitted: Points, frames: Points) -> Points:
    """Distance of each frame to the nearest that the detector was fitted to."""
    squares = np.square(frames[:, None] - fitted[None]).sum(axis=-1)
    nearest: Points = np.sqrt(squares.min(axis=1))
    return nearest


def threshold(values: Points) -> float:
    """The tolerance limit of normal scores."""
    return calibrate_threshold(
        values, false_alarm_rate=RATE, confidence=0.95, method="tolerance", unit="frames"
    ).threshold


def false_alarm_rates(random: np.random.Generator) -> tuple[float, float]:
    """Share of new normal frames that alarm, before and after learning again."""
    fitted, later = draw(random, FIT), draw(random, CALIBRATE)
    before = threshold(scores(fitted, later))
    inspected = draw(random, INSPECTED)
    alarms = inspected[scores(fitted, inspected) > before][:MOST_ALARMS]
    refitted = np.concatenate([fitted, alarms])
    after = threshold(scores(refitted, later))
    new = draw(random, NEW)
    return (
        float((scores(fitted, new) > before).mean()),
        float((scores(refitted, new) > after).mean()),
    )


def main() -> None:
    """Print the share of stations at which the promise fails."""
    random = np.random.default_rng(5)
    rates = np.array([false_alarm_rates(random) for _ in range(STATIONS)])
    for name, column in zip(("before", "after"), rates.T, strict=True):
        print(f"{name}: the promise fails at {(column > RATE).mean():.1%} of the stations")


if __name__ == "__main__":
    main()

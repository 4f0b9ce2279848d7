"""Leaves out frames that cannot show normal material: dark, white, blurred, repeated ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import Frame
from semedge.decision.appearance import FrameAppearance, measure_frame, subsampled

DARKEST = 0.02
"""A frame is dark where 99 % of it is below this share of the range."""
MOST_WHITE = 0.5
"""Share of a frame that may be white."""
SAME_DIFFERENCE = 1e-4
"""Mean difference of two frames, as a share of the range, up to which they are the same."""
LEAST_SHARPNESS = 0.5
"""A frame is blurred below this share of the median sharpness."""
SHARPNESS_FROM_FRAMES = 5
NAMES_SHOWN = 3


@dataclass(frozen=True)
class LeftOut:
    """A frame that is not learned from.

    Attributes
    ----------
    source
        Its name in messages.
    reason
        Why, such as `is dark`.
    """

    source: str
    reason: str


class Screening:
    """Looks at frames one after another.

    Attributes
    ----------
    left_out
        Frames that were left out without comparing them with others.
    """

    def __init__(self) -> None:
        self.left_out: list[LeftOut] = []
        self._taken: list[tuple[str, tuple[int, int], FrameAppearance]] = []
        self._previous: NDArray[np.float32] | None = None

    def takes(self, frame: Frame) -> bool:
        """Look at the next frame; False where it is left out."""
        appearance = measure_frame(frame)
        grays = subsampled(frame)
        reason = _fault(appearance)
        if reason is None and self._repeats(grays):
            reason = "repeats the frame before it"
        self._previous = grays
        if reason is None:
            self._taken.append((frame.source, frame.shape, appearance))
            return True
        self.left_out.append(LeftOut(frame.source, reason))
        return False

    def unlike_the_others(self) -> dict[int, LeftOut]:
        """Frames that differ from the others, by their position among those taken."""
        if not self._taken:
            return {}
        shapes = Counter(shape for _, shape, _ in self._taken)
        height, width = shapes.most_common(1)[0][0]
        found = {}
        for index, (source, shape, _) in enumerate(self._taken):
            if shape != (height, width):
                reason = f"has {shape[1]}x{shape[0]} px, where most have {width}x{height} px"
                found[index] = LeftOut(source, reason)
        rest = [index for index in range(len(self._taken)) if index not in found]
        if len(rest) >= SHARPNESS_FROM_FRAMES:
            median = float(np.median([self._taken[index][2].sharpness for index in rest]))
            for index in rest:
                source, _, appearance = self._taken[index]
                if appearance.sharpness < LEAST_SHARPNESS * median:
                    reason = (
                        f"is out of focus (sharpness {appearance.sharpness:.3f}, where the median "
                        f"is {median:.3f})"
                    )
                    found[index] = LeftOut(source, reason)
        return found

    def _repeats(self, grays: NDArray[np.float32]) -> bool:
        previous = self._previous
        if previous is None or previous.shape != grays.shape:
            return False
        return bool(np.abs(grays - previous).mean() <= SAME_DIFFERENCE)


def named(left_out: Sequence[LeftOut]) -> str:
    """The first few of some frames, each with its reason."""
    shown = "; ".join(f"{each.source} {each.reason}" for each in left_out[:NAMES_SHOWN])
    rest = len(left_out) - NAMES_SHOWN
    return f"{shown}; and {rest} more" if rest > 0 else shown


def _fault(appearance: FrameAppearance) -> str | None:
    if appearance.bright_gray < DARKEST:
        return f"is dark (99 % of it is at most {appearance.bright_gray:.3f} of the range)"
    if appearance.saturated > MOST_WHITE:
        return f"is white ({appearance.saturated:.0%} of it)"
    if appearance.sharpness == 0:
        return "shows a single gray value"
    return None

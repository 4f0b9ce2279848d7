"""The health of a camera: pictures that cannot be inspected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from semedge.core.event import Phase
from semedge.core.frame import Frame
from semedge.core.section import Section
from semedge.decision.appearance import FrameAppearance, measure_frame, subsampled
from semedge_calibration import Appearance

Problem = Literal[
    "no-frame", "frozen", "dark", "saturated", "out-of-focus", "brightness", "magnification"
]

PROBLEMS: tuple[Problem, ...] = get_args(Problem)

IMMEDIATE: tuple[Problem, ...] = ("dark", "saturated", "magnification")
"""Problems that already keep the first bad frame from inspection; the material can cause others."""

HYSTERESIS = 0.1
"""Share of a limit by which a picture must be better than the limit before a problem ends."""

SAME_MAGNIFICATION = 0.02
"""Share by which the size of a pixel may differ without another magnification."""

SENTENCES: Mapping[Problem, str] = {
    "no-frame": "{reason}",
    "frozen": (
        "The camera has sent the same picture for {frozen_s:.1f} s; if the material is moving, "
        "restart the camera."
    ),
    "dark": (
        "The picture is dark (99 % of it is at most {bright_gray:.3f} of the range, and at least "
        "{limit:.3f} is expected); check the light, the beam or the lens cap."
    ),
    "saturated": (
        "{saturated:.0%} of the picture is white, and at most {limit:.0%} should be; lower the "
        "light, the exposure or the gain."
    ),
    "out-of-focus": (
        "The picture is out of focus (sharpness {sharpness:.3f}, and at least {limit:.3f} is "
        "expected); focus again or clean the lens."
    ),
    "brightness": (
        "The picture is {direction} than in the calibration (its mean gray is {mean_gray:.3f} of "
        "the range, and {low:.3f} to {high:.3f} is expected); set light and exposure as they were, "
        "or calibrate again."
    ),
    "magnification": (
        "A pixel is {pixel_size_um:.4g} um, and was {expected_um:.4g} um in the calibration; set "
        "the magnification as it was, or calibrate again."
    ),
}
ENDS: Mapping[Problem, str] = {
    "no-frame": "The camera gives frames again",
    "frozen": "The picture changes again",
    "dark": "The picture is no longer dark",
    "saturated": "The picture is no longer too bright",
    "out-of-focus": "The picture is in focus again",
    "brightness": "The picture is as bright as it should be again",
    "magnification": "The magnification is as it should be again",
}


def _sentence(problem: Problem, details: Mapping[str, Any]) -> str:
    """What is wrong, the measured values, and what to do."""
    direction = "brighter" if details.get("mean_gray", 0) > details.get("high", 1) else "darker"
    return SENTENCES[problem].format(direction=direction, **details)


class HealthSettings(Section):
    """`[health]`: when a picture is too bad to inspect."""

    frames_to_start: int = Field(
        default=3, ge=1, le=1000, description="Bad frames in a row that start a problem."
    )
    frames_to_end: int = Field(
        default=3, ge=1, le=1000, description="Good frames in a row that end it."
    )
    frozen_after_s: float = Field(
        default=5.0, gt=0, description="Longest time that a live camera may send the same picture."
    )
    frozen_difference: float = Field(
        default=1e-4,
        ge=0,
        lt=1,
        description="Mean difference of two pictures, as a share of the range, up to which they "
        "are the same.",
    )
    dark_share: float = Field(
        default=0.25,
        ge=0,
        lt=1,
        description="A picture is dark where its bright parts are below this share of those of "
        "every frame of the calibration.",
    )
    saturated_share: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="Share of white pixels allowed beyond that of the calibration's frames.",
    )
    sharpness_share: float = Field(
        default=0.6,
        ge=0,
        lt=1,
        description="A picture is out of focus below this share of the sharpness of every frame of "
        "the calibration.",
    )
    brightness_deviations: float = Field(
        default=0.5,
        gt=0,
        description="How far the mean gray may differ from that of the calibration's frames, in "
        "standard deviations of the training frames' gray values.",
    )
    inspect_during: tuple[Problem, ...] = Field(
        default=(), description="Problems during which frames are inspected all the same."
    )


@dataclass(frozen=True)
class HealthChange:
    """A problem that starts or ends.

    Attributes
    ----------
    problem, phase
        The problem, and whether it starts or ends.
    message
        The sentence for people: what is wrong, the value, and what to do.
    started_s, at_s
        Monotonic time of its start and of this change.
    blocks_inspection
        Whether frames are left uninspected meanwhile.
    details
        Measured values and limits.
    """

    problem: Problem
    phase: Phase
    message: str
    started_s: float
    at_s: float
    blocks_inspection: bool
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation:
    """The camera's health according to one frame.

    Attributes
    ----------
    changes
        Problems that start or end with it.
    reason
        Why the frame cannot be inspected; empty where it can.
    """

    changes: tuple[HealthChange, ...] = ()
    reason: str = ""


class CameraHealth:
    """Monitors the health of one camera, picture by picture.

    Parameters
    ----------
    settings
        Limits of a good picture.
    normal
        How the frames of the calibration looked.
    gray_deviation
        Standard deviation of the training frames' gray values, as a share of the range.
    live
        Whether the pictures come from a live camera; files may repeat a picture.
    pixel_size_um
        Size of a pixel of the calibration's frames, where it is known.
    """

    def __init__(
        self,
        settings: HealthSettings,
        normal: Appearance,
        gray_deviation: float,
        *,
        live: bool,
        pixel_size_um: float | None = None,
    ) -> None:
        self._pixel_size_um = pixel_size_um
        self._settings = settings
        self._live = live
        self._limits = _PictureLimits(settings, normal, gray_deviation)
        self._open: dict[Problem, HealthChange] = {}
        self._in_a_row: dict[Problem, int] = dict.fromkeys(PROBLEMS, 0)
        self._freeze = _FreezeDetector(settings)

    @property
    def problems(self) -> tuple[HealthChange, ...]:
        """The starts of the ongoing problems."""
        return tuple(self._open.values())

    def observe(self, frame: Frame, at_s: float) -> Observation:
        """Measure the next frame, which arrived at the monotonic time `at_s`."""
        appearance = measure_frame(frame)
        frozen_s = self._freeze.observe(frame, at_s) if self._live else 0.0
        changes: list[HealthChange] = []
        reasons: list[str] = []
        for problem, is_bad, details in self._findings(appearance, frozen_s, frame.pixel_size_um):
            changes += self._count(problem, is_bad, details, at_s)
            # A frame that has arrived can be inspected, however long the next one takes.
            blocks = problem != "no-frame" and problem not in self._settings.inspect_during
            if blocks and (problem in self._open or (is_bad and problem in IMMEDIATE)):
                reasons.append(_sentence(problem, details))
        return Observation(tuple(changes), reasons[0] if reasons else "")

    def no_frame(self, reason: str, at_s: float) -> tuple[HealthChange, ...]:
        """Record that no frame came in time; `reason` is the camera's sentence."""
        self._in_a_row["no-frame"] = 0
        self._freeze.reset()
        if "no-frame" in self._open:
            return ()
        return (self._start("no-frame", {}, at_s, reason),)

    def close(self, why: str, at_s: float) -> tuple[HealthChange, ...]:
        """End all problems, because no more frames follow; `why` without a full stop."""
        return tuple(self._end(problem, at_s, why) for problem in [*self._open])

    def _findings(
        self, appearance: FrameAppearance, frozen_s: float, pixel_size_um: float | None
    ) -> Iterator[tuple[Problem, bool, dict[str, float]]]:
        """Each problem, whether this frame has it, and the measured values."""
        settings, limits = self._settings, self._limits
        yield "no-frame", False, {}
        # Freezing is measured in time, and a single frame that differs ends it.
        frozen_after_s = settings.frozen_after_s if "frozen" not in self._open else 0.0
        yield "frozen", self._live and frozen_s > frozen_after_s, {"frozen_s": frozen_s}
        measured_um, expected_um = pixel_size_um or 0.0, self._pixel_size_um or 0.0
        is_other = abs(measured_um - expected_um) > SAME_MAGNIFICATION * expected_um
        yield (
            "magnification",
            measured_um > 0 and expected_um > 0 and is_other,
            {"pixel_size_um": measured_um, "expected_um": expected_um},
        )
        limit = self._with_hysteresis("dark", limits.bright_gray, 1 + HYSTERESIS)
        yield (
            "dark",
            appearance.bright_gray < limit,
            {"bright_gray": appearance.bright_gray, "limit": limits.bright_gray},
        )
        limit = self._with_hysteresis("saturated", limits.saturated, 1 - HYSTERESIS)
        yield (
            "saturated",
            appearance.saturated > limit,
            {"saturated": appearance.saturated, "limit": limits.saturated},
        )
        # One cause, one problem: a dark or white picture also has few edges and another mean gray.
        is_exposed = (
            appearance.bright_gray >= limits.bright_gray
            and appearance.saturated <= limits.saturated
        )
        limit = self._with_hysteresis("out-of-focus", limits.sharpness, 1 + HYSTERESIS)
        yield (
            "out-of-focus",
            is_exposed and appearance.sharpness < limit,
            {"sharpness": appearance.sharpness, "limit": limits.sharpness},
        )
        margin = self._with_hysteresis("brightness", limits.gray_margin, 1 - HYSTERESIS)
        low, high = limits.mean_gray
        is_shifted = not low - margin <= appearance.mean_gray <= high + margin
        yield (
            "brightness",
            is_exposed and is_shifted,
            {
                "mean_gray": appearance.mean_gray,
                "low": max(0.0, low - limits.gray_margin),
                "high": min(1.0, high + limits.gray_margin),
            },
        )

    def _with_hysteresis(self, problem: Problem, limit: float, factor: float) -> float:
        """The limit, or the stricter one that ends an ongoing problem."""
        return limit * factor if problem in self._open else limit

    def _count(
        self, problem: Problem, is_bad: bool, details: dict[str, float], at_s: float
    ) -> Iterator[HealthChange]:
        """Start or end a problem after enough bad or good frames in a row."""
        is_ongoing = problem in self._open
        if is_bad == is_ongoing:
            self._in_a_row[problem] = 0
            return
        self._in_a_row[problem] += 1
        if not is_ongoing and self._in_a_row[problem] >= self._settings.frames_to_start:
            yield self._start(problem, details, at_s)
        elif is_ongoing and self._in_a_row[problem] >= self._settings.frames_to_end:
            yield self._end(problem, at_s, ENDS[problem])

    def _start(
        self, problem: Problem, details: dict[str, float], at_s: float, reason: str = ""
    ) -> HealthChange:
        self._in_a_row[problem] = 0
        change = HealthChange(
            problem=problem,
            phase="start",
            message=_sentence(problem, {"reason": reason, **details}),
            started_s=at_s,
            at_s=at_s,
            blocks_inspection=problem not in self._settings.inspect_during,
            details=details,
        )
        self._open[problem] = change
        return change

    def _end(self, problem: Problem, at_s: float, why: str) -> HealthChange:
        self._in_a_row[problem] = 0
        start = self._open.pop(problem)
        return HealthChange(
            problem=problem,
            phase="end",
            message=f"{why}, after {at_s - start.started_s:.1f} s.",
            started_s=start.started_s,
            at_s=at_s,
            blocks_inspection=start.blocks_inspection,
            details=start.details,
        )


class _PictureLimits:
    """The limits of the settings, for a camera with these normal frames."""

    def __init__(self, settings: HealthSettings, normal: Appearance, gray_deviation: float) -> None:
        self.bright_gray = settings.dark_share * normal.lowest_bright_gray
        self.saturated = normal.highest_saturated + settings.saturated_share
        self.sharpness = settings.sharpness_share * normal.lowest_sharpness
        self.gray_margin = settings.brightness_deviations * gray_deviation
        self.mean_gray = (normal.lowest_mean_gray, normal.highest_mean_gray)


class _FreezeDetector:
    """Measures how long the picture has not changed."""

    def __init__(self, settings: HealthSettings) -> None:
        self._difference = settings.frozen_difference
        self._picture: NDArray[np.float32] | None = None
        self._since_s = 0.0

    def observe(self, frame: Frame, at_s: float) -> float:
        """Seconds for which the picture has been that of this frame."""
        picture = subsampled(frame)
        if not self._is_same(picture):
            self._since_s = at_s
            self._picture = picture
        return at_s - self._since_s

    def reset(self) -> None:
        """Start again, because a picture from before an interruption proves nothing."""
        self._picture = None

    def _is_same(self, picture: NDArray[np.float32]) -> bool:
        before = self._picture
        if before is None or before.shape != picture.shape:
            return False
        return float(np.abs(picture - before).mean()) <= self._difference

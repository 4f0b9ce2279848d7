"""Learns a material: from normal frames to a detector bundle, without TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.resources import files as package_files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.core.frame import AnyImage
from semedge.core.images import to_colour, to_gray
from semedge.core.version import __version__
from semedge.inference.bundle import array_content, bundle_content, members_of
from semedge.inference.feature_extractor import FeatureExtractor
from semedge.inference.feature_manifest import FEATURES, Candidate, Choice
from semedge.inference.feature_network import REACH_PX, STRIDE_PX, FeatureNetwork
from semedge.inference.feature_scorer import arrays_of
from semedge.inference.interpreter import find_runtime, worker_count
from semedge.inference.manifest import Manifest, Training
from semedge.inference.network_input import FeatureInput
from semedge.learning.choose import judge_candidate, plant_defects
from semedge.learning.false_alarms import FalseAlarm, WithFalseAlarms
from semedge.learning.frame_facts import checked_shape, facts_of, intensity_of
from semedge.learning.learner import NO_ALARMS, Learner
from semedge.learning.options import AUTOMATIC, MAGNIFICATIONS, LearnOptions, Switch
from semedge.learning.plan import BANK_FROM_FRAMES, POSITION_FROM_FRAMES, Parts, Plan
from semedge.learning.score_fit import similar_sizes
from semedge.learning.sequences import Converted, Subset, evenly

DETECTOR = "pretrained-features"
FEATURES_SHA256 = "2991898a75707395b14b8f0691f47b35d00a65a7a8fd865444f2599c80de615f"
"""Digest of the network that the package carries."""

CELL_PX = 8
SMOOTHING_PX = 6.0
BORDER_PX = 20.0
MARGIN_PX = 16
OVERLAP_PX = -(-REACH_PX // STRIDE_PX) * STRIDE_PX
MOST_FIT_FRAMES = 300
MOST_FIT_PIXELS = 48_000_000
"""Frames and pixels that a detector is fitted to; more add time, and hardly knowledge."""
LIGHT_FRAMES = (12, 24)
LIGHT_PLANTED = (28, 84)
"""Frames, and frames with a planted defect, by which it is judged whether light is evened: first
few, and where these speak against it, more of them must, too, for few often do by chance."""
PLANTED = 70
"""Frames with a planted defect, about: ten of each kind."""
LEAST_AGREEMENT = 0.25
"""Correlation of mean values by position of both halves of the frames, below which position is
off."""
POSITION_MARGIN = 0.012
"""By so much more AUROC the detector without positions must find planted defects."""
LIGHT_MARGIN = 0.05
"""The same for uneven light."""
LEAST_IN_COLOUR = 0.9
"""Share of the frames that have colours where colours are judged."""

Step = Callable[[str], None]


@dataclass(frozen=True)
class Learned:
    """A detector that was learned.

    Attributes
    ----------
    manifest, contents
        The bundle.
    outlying
        Indices of frames that stood out from the others and were left out.
    false_alarms
        Names of the false alarms that it was fitted to.
    """

    manifest: Manifest
    contents: dict[str, bytes]
    outlying: tuple[int, ...]
    false_alarms: tuple[str, ...] = ()

    @property
    def bundle_content(self) -> bytes:
        """The bytes of the bundle."""
        return bundle_content(self.manifest, self.contents)

    def write(self, path: Path) -> None:
        """Write the bundle."""
        write_atomically(path, self.bundle_content)


def learn(
    frames: Sequence[AnyImage],
    options: LearnOptions = AUTOMATIC,
    *,
    false_alarms: Sequence[FalseAlarm] = (),
    left_out: NDArray[np.bool_] | None = None,
    workers: int | None = None,
    step: Step = lambda stage: None,
) -> Learned:
    """Fit a detector to normal frames.

    Parameters
    ----------
    frames
        Gray values `(height, width)` of normal frames, or blue, green and red
        `(height, width, 3)`, uint8 or uint16, in the order in which they were captured. At most
        300 with 48 million pixels are used, evenly chosen. They may be read when they are asked
        for.
    options
        What is chosen by hand.
    false_alarms
        Normal frames that alarmed, which are fitted to as well; evenly chosen where they are more
        than the other frames.
    left_out
        True where nothing is inspected `(height, width)`: of frames of this shape, nothing is
        learned that such a pixel takes part in.
    workers
        Threads of the network; the usable cores where None.
    step
        Called with the name of the stage after each frame that was looked at.

    Raises
    ------
    SemedgeError
        Where there is no frame, where a frame is smaller than 32 px, where the frames show no
        texture, or where nothing of them is left.
    """
    if not len(frames):
        raise SemedgeError("No normal frame was given; give at least one, and better 60 or more.")
    height, width = checked_shape(frames[0])
    most = max(1, min(MOST_FIT_FRAMES, MOST_FIT_PIXELS // (height * width)))
    most_alarms = min(len(frames), max(1, most // 2))
    alarms = [false_alarms[at] for at in evenly(len(false_alarms), most_alarms)]
    chosen = evenly(len(frames), max(1, most - len(alarms)))
    normal = frames if len(chosen) == len(frames) else Subset(frames, chosen)
    used = WithFalseAlarms(normal, alarms)
    threads = worker_count(workers)
    with ThreadPoolExecutor(threads, thread_name_prefix="maps") as pool:
        fit = _Fit(used, options, threads, pool, step, len(alarms), left_out)
        even_light, light_reason, light_candidates = fit.choose_light()
        learner = fit.learner(fit.frames, even_light, used.alarms_at)
        plan, plan_reason, candidates = fit.choose_plan(learner)
        choice = Choice(
            reason=f"{light_reason}; {plan_reason}; {fit.colour_reason}.",
            candidates=(*candidates, *light_candidates),
        )
        manifest, contents = fit.bundle(learner, plan, even_light, choice)
    outlying = tuple(chosen[used.normal_at[index]] for index in learner.outlying)
    return Learned(manifest, contents, outlying, tuple(each.name for each in alarms))


def features_content() -> bytes:
    """The network of features that ships with semedge; `SemedgeError` where it is damaged."""
    content = package_files("semedge").joinpath("data/features.tflite").read_bytes()
    if hashlib.sha256(content).hexdigest() != FEATURES_SHA256:
        raise SemedgeError(
            "The network of features that ships with semedge is damaged (its digest differs); "
            "install semedge again."
        )
    return content


class _Fit:
    """One run of `learn`."""

    def __init__(
        self,
        frames: Sequence[AnyImage],
        options: LearnOptions,
        threads: int,
        pool: Executor,
        step: Step,
        alarms: int,
        left_out: NDArray[np.bool_] | None,
    ) -> None:
        self.options = options
        self.content = features_content()
        # One for all learners, since it takes more memory than the rest of them.
        self._network = FeatureNetwork(self.content, threads=threads)
        self._pool = pool
        self._step = step
        self._alarms = {"false_alarms": str(alarms)} if alarms else {}
        self._left_out = left_out
        self.facts = [facts_of(frame, left_out) for frame in frames]
        grays = [each.grays for each in self.facts if each.grays.size]
        if grays and not any(np.ptp(each) for each in grays):
            raise SemedgeError(
                "Each frame shows one gray; learn from frames that show the material."
            )
        enough = len(frames) >= BANK_FROM_FRAMES
        in_colour = sum(each.in_colour for each in self.facts)
        colour = _chosen(options.colour, enough and in_colour >= LEAST_IN_COLOUR * len(frames))
        self.frames = Converted(frames, to_colour if colour else to_gray)
        self.colour_reason = (
            f"colours are {'' if colour else 'not '}judged ({in_colour} of {len(frames)} frames "
            "have any)"
        )
        self.parts = Parts(
            bank=_chosen(options.bank, enough),
            fine=_chosen(options.fine, enough),
            gray=_chosen(options.gray, enough),
            colour=colour,
        )

    def learner(
        self,
        frames: Sequence[AnyImage],
        even_light: bool,
        alarms_at: Mapping[int, FalseAlarm] = NO_ALARMS,
    ) -> Learner:
        """Models of these frames."""
        extractor = FeatureExtractor(
            self._network,
            self.input(even_light),
            gray=self.parts.gray,
            colour=self.parts.colour,
        )
        plan = self.parts.plan(position=False)
        return Learner(
            frames,
            extractor,
            plan,
            self._pool,
            seed=self.options.seed,
            step=lambda: self._step("learning"),
            alarms_at=alarms_at,
            left_out=self._left_out,
        )

    def input(self, even_light: bool) -> FeatureInput:
        """How frames are shown to the network."""
        return FeatureInput(
            network="efficientnet-lite0",
            overlap_px=OVERLAP_PX,
            feature_stride_px=STRIDE_PX,
            magnification=MAGNIFICATIONS[self.options.speed],
            margin_px=MARGIN_PX,
            cell_px=CELL_PX,
            smoothing_px=SMOOTHING_PX,
            border_px=BORDER_PX,
            scaling="local" if even_light else "range",
        )

    def choose_light(self) -> tuple[bool, str, tuple[Candidate, ...]]:
        """Whether light is evened, why, and what was tried."""
        given = self.options.even_light
        if given != "auto":
            return given == "on", f"even light is {given}, as given", ()
        if len(self.frames) < POSITION_FROM_FRAMES:
            return True, "light is evened, since there are too few frames to compare", ()
        for frames, planted in zip(LIGHT_FRAMES, LIGHT_PLANTED, strict=True):
            candidates = self._judge_light(frames, planted)
            with_it, without = (each.auroc for each in candidates)
            even = without <= with_it + LIGHT_MARGIN
            if even:
                break
        reason = (
            f"even light is {_on(even)} (planted defects are found with an AUROC of "
            f"{with_it:.2f} with it and {without:.2f} without)"
        )
        return even, reason, candidates

    def _judge_light(self, frames: int, planted: int) -> tuple[Candidate, Candidate]:
        """How well defects planted into some frames are found with evened light, and without."""
        used = Subset(self.frames, evenly(len(self.frames), frames))
        plan = self.parts.plan(position=False)

        def judged(even: bool) -> Candidate:
            learner = self.learner(used, even)
            maps = plant_defects(learner, planted, self.options.seed)
            name = f"even light {_on(even)}, {len(used)} frames"
            return judge_candidate(name, learner, maps, plan)

        return judged(True), judged(False)

    def choose_plan(self, learner: Learner) -> tuple[Plan, str, tuple[Candidate, ...]]:
        """The plan, why, and what was tried."""
        plans = {name: self.parts.plan(position=name == "on") for name in ("on", "off")}
        given = self.options.position
        if given != "auto":
            return plans[given], f"position is {given}, as given", ()
        if len(learner.kept) < POSITION_FROM_FRAMES:
            return plans["off"], "position is off, since there are too few frames to know it", ()
        if not similar_sizes([each.shape for each in self.facts]):
            return plans["off"], "position is off, since the frames have several sizes", ()
        agreement = learner.position_agreement(plans["off"])
        if agreement < LEAST_AGREEMENT:
            reason = (
                "position is off, since normal frames do not look alike by position (one half of "
                f"them predicts the other with a correlation of {agreement:.2f})"
            )
            return plans["off"], reason, ()
        planted = plant_defects(learner, PLANTED, self.options.seed)
        tried = tuple(
            judge_candidate(f"position {name}", learner, planted, plan)
            for name, plan in plans.items()
        )
        on, off = (each.auroc for each in tried)
        name = "off" if off > on + POSITION_MARGIN else "on"
        reason = (
            f"position is {name} (planted defects are found with an AUROC of {on:.2f} with it and "
            f"{off:.2f} without)"
        )
        return plans[name], reason, tried

    def bundle(
        self, learner: Learner, plan: Plan, even_light: bool, choice: Choice
    ) -> tuple[Manifest, dict[str, bytes]]:
        """The manifest and the files of the detector."""
        fitted = learner.score(plan)
        arrays = arrays_of(learner.models()) | dict(fitted.arrays)
        contents = {f"{name}.npy": array_content(array) for name, array in sorted(arrays.items())}
        contents[f"{FEATURES}.tflite"] = self.content
        height, width = fitted.frame_shape or (None, None)
        manifest = Manifest(
            format_version=4,
            detector=DETECTOR,
            input=self.input(even_light).model_copy(
                update={"frame_height_px": height, "frame_width_px": width}
            ),
            stride_px=CELL_PX,
            quantization="int8",
            nodes=(),
            score=fitted.score,
            scores={},
            members=members_of(contents),
            training=self._training(learner.kept, plan, even_light),
            parity={},
            choice=choice,
        )
        return manifest, contents

    def _training(self, kept: Sequence[int], plan: Plan, even_light: bool) -> Training:
        runtime, _ = find_runtime()
        return Training(
            detector=DETECTOR,
            thesis_section="none: pretrained features",
            schedule=self.options.speed,
            seed=self.options.seed,
            steps={},
            learning_rates={},
            options={
                "position": _on(plan.position),
                "even_light": _on(even_light),
                "bank": _on(self.parts.bank),
                "fine": _on(self.parts.fine),
                "gray": _on(self.parts.gray),
                "colour": _on(self.parts.colour),
                **self._alarms,
            },
            frame_sha256=tuple(sorted({each.sha256 for each in self.facts})),
            frames=len(kept),
            intensity=intensity_of(self.facts[index] for index in kept),
            packages={"semedge": __version__, "numpy": np.__version__, "runtime": runtime},
            created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )


def _chosen(given: Switch, automatic: bool) -> bool:
    return automatic if given == "auto" else given == "on"


def _on(switched: bool) -> str:
    return "on" if switched else "off"

"""What a person asks for with `semedge evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from semedge.core.errors import SemedgeError
from semedge.core.view import WHOLE, ViewSettings

ProtocolChoice = Literal["thesis", "pixel", "both"]

SEARCHED_PATCHES = 2000
"""Patches that are measured of a run, whose every patch takes a search: one in sixteen of those of
NanoTWICE's frames is anomalous, which gives more than 100."""
SEARCH_STEPS = 500


class ConflictingOptionsError(SemedgeError):
    """Two options of a request exclude each other."""


@dataclass(frozen=True)
class EvaluationRequest:
    """What to measure, on which frames, and how.

    Raises `ConflictingOptionsError` where one option excludes another.

    Attributes
    ----------
    images, masks
        Folders of frames, and of a mask for each.
    detector
        The bundle to measure; the demo detector where None.
    run
        Instead of a bundle, the run folder of a detector that the edge cannot run.
    normal_images
        Folder of normal frames that were not trained on, for metrics of whole frames.
    view
        How frames are read and cropped; bits that are not given are the detector's.
    fields_px
        Width and height of the fields that are judged instead of whole frames.
    protocol
        Both where None, and the thesis's alone where not all patches are measured.
    scores, all_scores
        Names of the scores to measure, or every score that there is; the default one where neither
        is given.
    baselines
        Source of normal frames that the baselines are fitted to; no baselines where None.
    calibration
        File with the threshold to measure at beside the oracle's.
    stride_px
        Distance between patches in the pixel protocol; the detector's own where None.
    patches
        Measure a seeded choice of about this number of patches.
    search_steps
        Steps of the search for each patch's latent, of a run.
    mixed_precision
        Whether that search computes in mixed precision.
    seed
        Seed of the choice and of the search.
    workers
        Threads that score; the usable cores where None.
    """

    images: Path
    masks: Path
    detector: Path | None = None
    run: Path | None = None
    normal_images: Path | None = None
    view: ViewSettings = WHOLE
    fields_px: tuple[int, int] | None = None
    protocol: ProtocolChoice | None = None
    scores: tuple[str, ...] = ()
    all_scores: bool = False
    baselines: str | None = None
    calibration: Path | None = None
    stride_px: int | None = None
    patches: int | None = None
    search_steps: int = SEARCH_STEPS
    mixed_precision: bool = False
    seed: int = 0
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.protocol not in (*get_args(ProtocolChoice), None):
            raise SemedgeError(
                f"protocol must be thesis, pixel or both. Received: {self.protocol!r}"
            )
        by_run, some_patches = self.run is not None, self.patches_measured is not None
        by_thesis = self.protocol_measured == "thesis"
        whole_frames = self.normal_images is not None or self.fields_px is not None
        conflicts = (
            (by_run and self.detector is not None, "Give --detector or --run, not both."),
            (self.all_scores and self.scores, "Give --score or --all-scores, not both."),
            (by_run and self.calibration is not None, "--run measures without a calibration."),
            (self.mixed_precision and not by_run, "--mixed-precision needs --run."),
            (by_thesis and self.stride_px is not None, "--stride needs the pixel protocol."),
            (
                some_patches and (whole_frames or not by_thesis),
                "A sample of patches has no pixel protocol and no --normal or --fields.",
            ),
        )
        for conflict, sentence in conflicts:
            if conflict:
                raise ConflictingOptionsError(sentence)

    @property
    def patches_measured(self) -> int | None:
        """About this number of patches; all of them where None."""
        return self.patches or (None if self.run is None else SEARCHED_PATCHES)

    @property
    def protocol_measured(self) -> ProtocolChoice:
        """The protocol, chosen by what is measured where none is asked for."""
        return self.protocol or ("both" if self.patches_measured is None else "thesis")

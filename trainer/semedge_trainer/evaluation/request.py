"""What a person asks for with `semedge evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from semedge.core.errors import SemedgeError

ProtocolChoice = Literal["thesis", "pixel", "both"]

SEARCHED_PATCHES = 1000
"""Patches that are measured of a run, whose every patch takes a search."""
SEARCH_STEPS = 500


class ContradictionError(SemedgeError):
    """Two wishes of a request exclude each other."""


@dataclass(frozen=True)
class EvaluationRequest:
    """What to measure, on which frames, and how.

    Raises `ContradictionError` where one wish excludes another.

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
    crop_bottom_px
        Rows cut off at the lower edge of each frame.
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
        Measure a seeded choice of about as many patches.
    search_steps
        Steps of the search for each patch's latent, of a run.
    seed
        Of the choice and of the search.
    workers
        Threads that score; the usable cores where None.
    """

    images: Path
    masks: Path
    detector: Path | None = None
    run: Path | None = None
    normal_images: Path | None = None
    crop_bottom_px: int = 0
    fields_px: tuple[int, int] | None = None
    protocol: ProtocolChoice | None = None
    scores: tuple[str, ...] = ()
    all_scores: bool = False
    baselines: str | None = None
    calibration: Path | None = None
    stride_px: int | None = None
    patches: int | None = None
    search_steps: int = SEARCH_STEPS
    seed: int = 0
    workers: int | None = None

    def __post_init__(self) -> None:
        some_patches = self.patches_measured is not None
        contradictions = {
            "Give --detector or --run, not both.": self.detector is not None
            and self.run is not None,
            "Give --score or --all-scores, not both.": bool(self.scores) and self.all_scores,
            "--run measures without a calibration.": self.run is not None
            and self.calibration is not None,
            "--stride needs the pixel protocol.": self.protocol_measured == "thesis"
            and self.stride_px is not None,
            "A sample of patches has no pixel protocol and no --normal or --fields.": some_patches
            and (
                self.protocol_measured != "thesis"
                or self.normal_images is not None
                or self.fields_px is not None
            ),
        }
        for sentence, contradicts in contradictions.items():
            if contradicts:
                raise ContradictionError(sentence)

    @property
    def patches_measured(self) -> int | None:
        """About as many patches; all of them where None."""
        return self.patches or (None if self.run is None else SEARCHED_PATCHES)

    @property
    def protocol_measured(self) -> ProtocolChoice:
        """The protocol, chosen by what is measured where none is asked for."""
        return self.protocol or ("both" if self.patches_measured is None else "thesis")

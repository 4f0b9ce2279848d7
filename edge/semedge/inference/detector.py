"""The detector: scores frames by a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from semedge.core.closing import Closing
from semedge.core.errors import SemedgeError, unknown_name
from semedge.core.frame import AnyImage, Frame, GrayImage
from semedge.core.images import to_gray
from semedge.inference.bundle import Bundle, read_bundle, read_demo_bundle
from semedge.inference.feature_manifest import FeatureScore, Scale
from semedge.inference.feature_scorer import FeatureScorer
from semedge.inference.frame_scorer import FrameScorer
from semedge.inference.grid import PatchGrid
from semedge.inference.interpreter import find_runtime
from semedge.inference.network_input import FeatureInput, FrameGeometry, FrameInput
from semedge.inference.patch_scorer import PatchScorer
from semedge.inference.score_map import ScoreMap
from semedge.inference.scores.distances import Tensor


class Detector(Closing):
    """A bundle ready to score frames, with a set of graphs for each worker thread.

    Parameters
    ----------
    bundle
        The bundle to run.
    stride_px
        Distance between patches; the bundle's own where None.
    workers
        Number of threads that score; the usable cores where None.
    score_names
        Scores of the manifest, all computed in one pass; frames are judged by the first. Where
        empty, the score that the bundle chooses.

    Attributes
    ----------
    score_name
        The score that frames are judged by.
    whole_frames
        Whether the graphs take a frame as a whole, not cut into patches.

    Examples
    --------
    >>> with Detector.load(None, workers=1) as detector:
    ...     score_map = detector.score(np.zeros((64, 80), np.uint8))
    >>> score_map.to_pixels().shape
    (64, 80)
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        stride_px: int | None = None,
        workers: int | None = None,
        score_names: Sequence[str] = (),
    ) -> None:
        manifest = bundle.manifest
        self.bundle = bundle
        self.patch_px = manifest.input.patch_px
        self.stride_px = manifest.stride_px if stride_px is None else stride_px
        self.whole_frames = isinstance(manifest.input, FrameGeometry)
        self.score_names = tuple(score_names) or (manifest.score.name,)
        self.score_name = self.score_names[0]
        self.runtime, _ = find_runtime()
        self._scorer = _make_scorer(bundle, self._find_weights(), workers)
        self._grid: PatchGrid | None = None
        self._check_graphs()

    @classmethod
    def load(
        cls,
        path: Path | str | None,
        *,
        stride_px: int | None = None,
        workers: int | None = None,
        score_names: Sequence[str] = (),
    ) -> Detector:
        """Read the bundle at `path`, or the demo detector where it is None."""
        bundle = read_demo_bundle() if path is None else read_bundle(Path(path))
        return cls(bundle, stride_px=stride_px, workers=workers, score_names=score_names)

    @property
    def batch(self) -> int:
        """Patches that the graphs take at once; 1 where they take the frame as a whole."""
        return self._scorer.batch

    @property
    def facts(self) -> dict[str, str]:
        """Path and digest of the bundle, name and quantization of the detector."""
        return {
            "path": self.bundle.name,
            "sha256": self.bundle.sha256,
            "name": self.bundle.manifest.detector,
            "quantization": self.bundle.manifest.quantization,
        }

    @property
    def bits(self) -> int | None:
        """Bits of a pixel of the training frames; None where they filled their type."""
        return self.bundle.manifest.training.bits

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Digests of the training frames, see `semedge.inference.bundle.frame_sha256`."""
        return self.bundle.manifest.training.frame_sha256

    @property
    def reach_px(self) -> int:
        """Pixels beyond a patch that its score may depend on."""
        frame_input = self.bundle.manifest.input
        return frame_input.reach_px if isinstance(frame_input, FrameGeometry) else 0

    @property
    def judges_colours(self) -> bool:
        """Whether it was learned from frames in colour and judges their colours."""
        return self.bundle.manifest.judges_colours

    @property
    def score_scale(self) -> Scale:
        """How the raw score becomes the score that frames are judged by.

        Only a detector that `semedge learn` fitted scales its score; the score of any other is
        the raw score.
        """
        score = self.bundle.manifest.score
        if isinstance(score, FeatureScore) and self.score_name == score.name:
            return score.scale
        return Scale(origin=0, unit=1)

    def raw_score(self, score: float) -> float:
        """The score before it was scaled: `origin + unit * score` of `score_scale`, without a unit.

        It rises with the score. Only raw scores of one detector can be compared.
        """
        return self.score_scale.invert(score)

    def share_inspected(self, frame: Frame) -> float:
        """Share of the frame's patches that have a score of their own; scores nothing.

        Raises `SemedgeError` where the frame is smaller than a patch, or nothing of it is left.
        """
        try:
            grid = PatchGrid(frame.shape, self.patch_px, self.stride_px)
            if frame.left_out is None:
                return 1.0
            return float(self._inspected(frame.left_out, grid).mean())
        except SemedgeError as error:
            raise SemedgeError(f"{frame.source} cannot be scored: {error}") from error

    def score(self, image: Frame | GrayImage) -> ScoreMap:
        """Run the graphs on every patch, or on the whole frame, and make a score map.

        Parameters
        ----------
        image
            A frame, or its gray values `(height, width)`, uint8 or uint16.

        Raises
        ------
        SemedgeError
            Where an array cannot be a frame, where the frame is smaller than a patch, or where a
            score is NaN or infinite.
        """
        return self.score_maps(image)[self.score_name]

    def score_maps(self, image: Frame | GrayImage) -> dict[str, ScoreMap]:
        """Like `score`, for all of `score_names`, by name."""
        frame = image if isinstance(image, Frame) else Frame(image)
        try:
            grid = self._grid_for(frame.shape)
            inspected = None if frame.left_out is None else self._inspected(frame.left_out, grid)
            picture = frame.picture if self.judges_colours else frame.image
            scores, stage_ms = self._scorer.score_image(picture, grid)
        except SemedgeError as error:
            raise SemedgeError(f"{frame.source} cannot be scored: {error}") from error
        self._check_finite(scores, frame.source)
        cells = len(grid)
        if inspected is not None:
            cells = int(inspected.sum())
            scores = {
                name: np.where(inspected, values, values[inspected].min()).astype(values.dtype)
                for name, values in scores.items()
            }
        judged = self.bundle.manifest.score.judged_cells(cells)
        return {name: ScoreMap(grid, values, stage_ms, judged) for name, values in scores.items()}

    def score_chosen(
        self, picture: AnyImage, grid: PatchGrid, chosen: NDArray[np.intp]
    ) -> dict[str, Tensor]:
        """Scores `(len(chosen),)` of the chosen patches of any grid, by name.

        With a detector of whole frames, the score of a patch is the highest of the cells in it.

        Parameters
        ----------
        picture
            The whole frame, gray or in colour.
        grid
            Patches of the frame or of its upper left part.
        chosen
            Indices of patches.
        """
        judged = picture if self.judges_colours else to_gray(picture)
        scores = self._scorer.score_chosen(judged, grid, chosen)
        self._check_finite(scores, "a frame")
        return scores

    def close(self) -> None:
        """End the worker threads."""
        self._scorer.close()

    def _find_weights(self) -> dict[str, Mapping[str, float]]:
        known = self.bundle.manifest.all_scores
        for name in self.score_names:
            if name not in known:
                raise unknown_name(f"{self.bundle.name} has no score", name, "it has", known)
        return {name: known[name] for name in self.score_names}

    def _check_graphs(self) -> None:
        """Score a blank frame, so that graphs and arrays that do not match are refused at once."""
        # One pixel more than a patch: some patches lie on the stride, others snap to the border.
        side_px = self.patch_px + 1
        shape = (side_px, side_px)
        if isinstance(self.bundle.manifest.input, FeatureInput):
            shape = self.bundle.manifest.input.frame_shape or shape
        blank = np.zeros(shape, np.uint8)
        try:
            grid = PatchGrid(shape, self.patch_px, self.stride_px)
            scores, _ = self._scorer.score_image(blank, grid)
            fits = all(values.shape == (len(grid),) for values in scores.values())
        except (ValueError, RuntimeError):
            fits = False
        except SemedgeError:
            self.close()
            raise
        if not fits:
            self.close()
            raise SemedgeError(
                f"The graphs and arrays of {self.bundle.name} do not match each other or its "
                f"patches of {self.patch_px}x{self.patch_px} px; export the detector again."
            )

    def _check_finite(self, scores: Mapping[str, Tensor], source: str) -> None:
        for name, values in scores.items():
            if not np.isfinite(values).all():
                raise SemedgeError(
                    f"{self.bundle.name} gives patches of {source} a score {name} that is NaN or "
                    "infinite; export the detector again."
                )

    def _inspected(self, left_out: NDArray[np.bool_], grid: PatchGrid) -> NDArray[np.bool_]:
        """Patches `(len(grid),)` that see nothing of what is left out.

        The others get the lowest score of these, so that they are never where a defect is.
        """
        inspected = ~grid.touches(left_out, self.reach_px)
        if not inspected.any():
            raise SemedgeError(
                f"nothing is left of it: every patch of {grid.patch_px} px reaches what is left "
                "out; leave out smaller regions."
            )
        return inspected

    def _grid_for(self, frame_shape: tuple[int, int]) -> PatchGrid:
        if self._grid is None or self._grid.frame_shape != frame_shape:
            self._grid = PatchGrid(frame_shape, self.patch_px, self.stride_px)
        return self._grid


class _Scorer(Protocol):
    """A bundle's graphs and arrays, ready to run: patch by patch, or on whole frames."""

    batch: int

    def score_image(
        self, picture: AnyImage, grid: PatchGrid, /
    ) -> tuple[dict[str, Tensor], dict[str, float]]: ...

    def score_chosen(
        self, picture: AnyImage, grid: PatchGrid, chosen: NDArray[np.intp], /
    ) -> dict[str, Tensor]: ...

    def close(self) -> None: ...


def _make_scorer(
    bundle: Bundle, scores: Mapping[str, Mapping[str, float]], workers: int | None
) -> _Scorer:
    if isinstance(bundle.manifest.input, FeatureInput):
        return FeatureScorer(bundle, scores, workers)
    if isinstance(bundle.manifest.input, FrameInput):
        return FrameScorer(bundle, scores, workers)
    return PatchScorer(bundle, scores, workers)

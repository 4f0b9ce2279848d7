"""Pretrained features of the frame, at places that all lie alike.

The depths are the places in EfficientNet-Lite0 that separate best alone: outputs of blocks
without a shortcut, the 6th and the 9th, and the expansion in the 12th, which doubles the work. The
5th, which costs next to nothing, separates less alone and adds to the others: its features lie
twice as close, and the four at each place of the 6th are judged as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage
from semedge.inference.frame_tiles import continued, grouped, prepare_frame, tile_values
from semedge.inference.manifest import Node
from semedge.inference.network_input import FrameInput
from semedge.learning.gaussian import gaussian_of
from semedge_trainer.components.blocks import Network
from semedge_trainer.components.efficientnet import build_segment, group_of, reach_px
from semedge_trainer.detectors.base import Networks, Schedule, node
from semedge_trainer.detectors.whole_frame import FrameDetector

Array = NDArray[np.float32]

EXPANDED = 12
"""The depth that is the expansion in a block, and not its output."""
FIT_FRAMES = 100
"""Frames that are looked at in a fit, at most, evenly chosen."""
FIT_POSITIONS = 20_000
"""Places that are looked at in a fit, at most."""
SEED = 0


@dataclass(frozen=True)
class TextureOptions:
    """How a frame is shown to the network, and what becomes of the score map.

    Attributes
    ----------
    magnification
        Size of the frame as the network sees it; more is slower, and finer.
    ridge
        Share of the mean variance that is added to every variance.
    smoothing_px
        Standard deviation of the Gaussian that smooths the score map.
    border_px
        Width of the strip along the frame's border that is judged by the places beside it.
    even_light
        Whether each pixel is scaled by the mean and deviation of what surrounds it, so that
        shading and exposure do not matter; nor does a wide dark or bright area then.
    """

    magnification: float = 1.0
    ridge: float = 1e-3
    smoothing_px: float = 6.0
    border_px: float = 20.0
    even_light: bool = False


@dataclass(frozen=True)
class Shown:
    """A frame, or its first tile, as the networks see it.

    Attributes
    ----------
    values
        Shape `(1, height, width, 1)`, in [-1, 1].
    places
        Rows and columns of places in it.
    rows, columns
        Those that lie inside the frame.
    """

    values: Array
    places: tuple[int, int]
    rows: slice
    columns: slice

    def inside(self, output: Array) -> Array:
        """What a network gives for the places inside the frame, `(rows, columns, channels)`."""
        return grouped(np.asarray(output)[0], self.places)[self.rows, self.columns]


class TextureFeatures(FrameDetector):
    """A detector that judges each place of a frame by a pretrained network's features.

    Parameters
    ----------
    options, schedule
        As for every detector.
    depths
        Blocks whose features are used, ascending.
    """

    margin_px: ClassVar[int] = 32
    cell_px: ClassVar[int] = 8
    options: TextureOptions

    def __init__(
        self, options: TextureOptions, schedule: Schedule, depths: tuple[int, ...]
    ) -> None:
        for name, low, high in (
            ("magnification", 0.1, 8),
            ("ridge", 1e-9, 10),
            ("smoothing_px", 0, 256),
            ("border_px", 0, 256),
        ):
            check_option(options, name, low, high)
        super().__init__(options, schedule)
        self.depths = depths
        self.stride_px = max(group_of(min(depth, EXPANDED - 1)).stride_px for depth in depths)

    def build(self) -> dict[str, Network]:
        """The networks for frames of any size."""
        return self.networks_of((None, None))

    def networks_for(self, networks: Networks, tile_shape: tuple[int, int]) -> dict[str, Network]:
        """The same networks for tiles of one size."""
        fixed = self.networks_of(tile_shape)
        for name, network in fixed.items():
            network.set_weights(networks[name].get_weights())
        return fixed

    def networks_of(self, tile_shape: tuple[int | None, int | None]) -> dict[str, Network]:
        """The pretrained network in segments, each up to one depth, for tiles of a size."""
        segments = {}
        first, shape = 1, tile_shape
        for depth in self.depths:
            segments[f"blocks{depth}"] = build_segment(
                first, depth, shape, expanded=depth == EXPANDED
            )
            first = depth + 1
            rows, columns = segments[f"blocks{depth}"].output_shape[1:3]
            shape = (rows, columns)
        return segments

    def frame_input(self, tile_shape: tuple[int, int] = (16, 16)) -> FrameInput:
        """Magnified, continued on every side, in tiles that overlap by the network's reach."""
        step_px = self.stride_px
        return FrameInput(
            tile_height_px=tile_shape[0],
            tile_width_px=tile_shape[1],
            overlap_px=-(-reach_px(min(self.depths[-1], EXPANDED - 1)) // step_px) * step_px,
            feature_stride_px=step_px,
            magnification=self.options.magnification,
            margin_px=self.margin_px,
            cell_px=self.cell_px,
            smoothing_px=self.options.smoothing_px,
            border_px=self.options.border_px,
            scaling="local" if self.options.even_light else "range",
        )

    def feature_nodes(self) -> tuple[Node, ...]:
        """Each segment after the one before it: the features of every depth, as `f6`."""
        inputs = ("x", *(f"f{depth}" for depth in self.depths))
        return tuple(
            node(f"f{depth}", f"blocks{depth}", source)
            for depth, source in zip(self.depths, inputs, strict=False)
        )

    def gather(
        self, images: tuple[GrayImage, ...], look: Callable[[GrayImage], dict[str, Array]]
    ) -> dict[str, Array]:
        """What `look` sees at random places of normal frames, `(places, channels)`.

        `look` gives maps `(rows, columns, channels)` by name, all of the same places.
        """
        chosen = images[:: -(-len(images) // FIT_FRAMES)]
        share = -(-FIT_POSITIONS // len(chosen))
        random = np.random.default_rng(SEED)
        gathered: dict[str, list[Array]] = {}
        for image in chosen:
            places = None
            for name, values in look(image).items():
                flat = values.reshape(-1, values.shape[-1])
                if places is None:
                    places = random.permutation(len(flat))[:share]
                gathered.setdefault(name, []).append(flat[places])
        return {name: np.concatenate(parts) for name, parts in gathered.items()}

    def features(
        self, networks: Networks, image: GrayImage, tile_shape: tuple[int, int] | None = None
    ) -> dict[str, Array]:
        """Every depth's features `(rows, columns, channels)` at the places inside the frame.

        Networks that take one size only see the frame's first tile. Depths whose networks are left
        out have no features.
        """
        return self.features_of(networks, self.shown(image, tile_shape))

    def features_of(self, networks: Networks, shown: Shown) -> dict[str, Array]:
        """The same of a frame as the networks see it."""
        values = shown.values
        inside: dict[str, Array] = {}
        for depth in self.depths:
            if f"blocks{depth}" not in networks:
                break
            values = np.asarray(networks[f"blocks{depth}"](values))
            inside[f"f{depth}"] = shown.inside(values)
        return inside

    def shown(self, image: GrayImage, tile_shape: tuple[int, int] | None = None) -> Shown:
        """The frame as the networks see it, or its first tile."""
        step_px = self.stride_px
        prepared = prepare_frame(image, self.frame_input())
        shape = tile_shape or tuple(-(-side // step_px) * step_px for side in prepared.shape)
        seen = prepared[: shape[0], : shape[1]]
        below, right = (side - there for side, there in zip(shape, seen.shape, strict=True))
        first = self.margin_px // step_px
        rows, columns = (
            slice(first, max(first + 1, (there - self.margin_px) // step_px))
            for there in seen.shape
        )
        return Shown(
            tile_values(continued(seen, (0, below, 0, right))),
            (shape[0] // step_px, shape[1] // step_px),
            rows,
            columns,
        )


def check_option(options: object, name: str, low: float, high: float) -> None:
    """Raise `SemedgeError` where a number among the options is out of its range."""
    value = getattr(options, name)
    if not low <= value <= high:
        raise SemedgeError(f"Option {name} must be between {low} and {high}. Received: {value}")


def gaussians_of(features: Mapping[str, Array], ridge: float, kept: float) -> dict[str, Array]:
    """Mean and whitening of each of the features `(n, d)`, as `f6_mean` and `f6_whitening`."""
    arrays: dict[str, Array] = {}
    for name, values in features.items():
        mean, whitening = gaussian_of(values, ridge, kept)
        arrays |= {f"{name}_mean": mean, f"{name}_whitening": whitening}
    return arrays

"""How a detector of pretrained features scores, and why: its part of the manifest."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from semedge.inference.record import Name, Record

FEATURES = "features"
"""Name of the graph of the pretrained network in a bundle of format version 4."""
BORDER_ARRAYS = ("border_mean", "border_deviation")
POSITION_ARRAYS = ("position_mean", "position_deviation")
BANK_ARRAYS = ("projection", "offset", "items")


class Scale(Record):
    """How values are standardized: `origin` becomes 0, and `origin + unit` becomes 1."""

    origin: float
    unit: float = Field(gt=0)

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values in this scale."""
        scaled: NDArray[np.float32] = (values - np.float32(self.origin)) / np.float32(self.unit)
        return scaled

    def invert(self, value: float) -> float:
        """The value that becomes this one in this scale."""
        return self.origin + self.unit * value


class FeatureMap(Record):
    """A model of normal features, which gives each place a distance.

    Attributes
    ----------
    name
        Name of the map as a score of its own, and the beginning of its arrays' names.
    model
        A Gaussian of one output of the network, or a bank of normal features.
    output
        The output that a Gaussian judges; for a bank `gray` or `colour`, whose features are
        statistics of gray values or of colours, or none, whose features are those of several
        outputs.
    weight
        Share in its group.
    scale
        Mean and standard deviation of the smoothed map's logarithm over normal frames that the
        model was not fitted to.
    """

    name: Name = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    model: Literal["gaussian", "bank"]
    output: Name | None = None
    weight: float = Field(gt=0, le=1)
    scale: Scale

    @property
    def arrays(self) -> tuple[Name, ...]:
        """Names of its arrays in the bundle."""
        ends = ("mean", "whitening") if self.model == "gaussian" else BANK_ARRAYS
        return tuple(f"{self.name}_{end}" for end in ends)


class MapGroup(Record):
    """Maps that are averaged; a cell is judged by the group in which it stands out most.

    Attributes
    ----------
    maps
        The maps that are averaged.
    scale
        The median over normal frames, and how far above it the group's highest values count as
        much as those of another group.
    """

    maps: tuple[FeatureMap, ...] = Field(min_length=1)
    scale: Scale


class Position(Record):
    """For objects that always lie alike: a cell is compared with normal cells at its position.

    Attributes
    ----------
    weight
        Share of the values that are standardized cell by cell.
    values, cell_by_cell
        Mean and standard deviation over normal frames of the values, and of those that are
        standardized cell by cell.
    """

    weight: float = Field(gt=0, le=1)
    values: Scale
    cell_by_cell: Scale


class FeatureScore(Record):
    """How maps of distances become the score that a frame is judged by.

    Attributes
    ----------
    name
        Name of the score.
    groups
        Groups of maps.
    position
        None where no position is special.
    scale
        Makes the score 0 at the median of normal cells, and 100 at the value that one normal cell
        in a thousand exceeds.
    top_share, least_cells
        A frame's score is the mean of this share of its cells, the highest ones, but of at least
        this number of cells.
    """

    name: Literal["features"] = "features"
    groups: tuple[MapGroup, ...] = Field(min_length=1)
    position: Position | None = None
    scale: Scale
    top_share: float = Field(ge=0, le=1)
    least_cells: int = Field(ge=1)

    @property
    def maps(self) -> tuple[FeatureMap, ...]:
        """The maps of all groups."""
        return tuple(each for group in self.groups for each in group.maps)

    def judges(self, output: Name) -> bool:
        """Whether one of the maps is of this output."""
        return any(each.output == output for each in self.maps)

    @property
    def weights(self) -> dict[str, float]:
        """The score as a sum of scores: of itself."""
        return {self.name: 1.0}

    @property
    def arrays(self) -> tuple[Name, ...]:
        """Names of the arrays that it needs."""
        own = BORDER_ARRAYS if self.position is None else BORDER_ARRAYS + POSITION_ARRAYS
        return own + tuple(name for each in self.maps for name in each.arrays)

    def judged_cells(self, cells: int) -> int:
        """How many of a frame's cells, the highest ones, the frame is judged by."""
        return min(cells, max(self.least_cells, math.ceil(self.top_share * cells)))


class Candidate(Record):
    """A variant of the detector, and how well it found defects that were planted.

    Attributes
    ----------
    name
        What it differs in from the default.
    auroc
        Of planted against clean normal frames that the models were not fitted to; the mean over
        the kinds of planted defects.
    kinds
        The same by kind.
    """

    name: str
    auroc: float = Field(ge=0, le=1)
    kinds: dict[str, float]


class Choice(Record):
    """Why the detector has the options that it has.

    Attributes
    ----------
    reason
        In a sentence.
    candidates
        The variants that were tried, the default first.
    """

    reason: str
    candidates: tuple[Candidate, ...] = ()

"""What a detector consists of: its maps, their groups, and whether position counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from semedge.inference.colour_statistics import COLOUR
from semedge.inference.gray_statistics import GRAY

BANK_FROM_FRAMES = 10
"""Fewer frames do not show how the material varies, and a bank would judge that as anomalous."""
POSITION_FROM_FRAMES = 10
POSITION_WEIGHT = 0.5
TOP_SHARE = 0.001
LEAST_CELLS = 10


@dataclass(frozen=True)
class PlannedMap:
    """A map before it is fitted.

    Attributes
    ----------
    name
        Its name.
    model
        A Gaussian or a bank.
    output
        What the model judges: an output of the network, `gray` or `colour` for statistics, or
        None for a bank of several outputs.
    weight
        Share in its group.
    """

    name: str
    model: Literal["gaussian", "bank"]
    output: str | None
    weight: float


@dataclass(frozen=True)
class PlannedGroup:
    """Maps that are averaged.

    Attributes
    ----------
    maps
        What is averaged.
    importance
        How much the group's highest values count beside those of other groups.
    """

    maps: tuple[PlannedMap, ...]
    importance: float = 1.0


@dataclass(frozen=True)
class Plan:
    """A detector before it is fitted.

    Attributes
    ----------
    groups
        Groups of maps.
    position
        Whether each place is compared with what is normal at its position.
    """

    groups: tuple[PlannedGroup, ...]
    position: bool

    @property
    def maps(self) -> tuple[PlannedMap, ...]:
        """The maps of all groups."""
        return tuple(each for group in self.groups for each in group.maps)


TEXTURE = PlannedGroup(
    (
        PlannedMap("gaussian_5", "gaussian", "f5", 1 / 3),
        PlannedMap("gaussian_6", "gaussian", "f6", 1 / 3),
        PlannedMap("gaussian_9", "gaussian", "f9", 1 / 3),
    )
)
"""A Gaussian for each depth, for few frames of one texture."""
MATERIAL = PlannedGroup(
    (
        PlannedMap("bank", "bank", None, 0.5),
        PlannedMap("gaussian_6", "gaussian", "f6", 0.25),
        PlannedMap("gaussian_9", "gaussian", "f9", 0.25),
    )
)
"""The bank and Gaussians, for material of several kinds and for texture. The bank comes first: it
takes as long as all other maps together, and the threads take them in this order."""
FINE = PlannedGroup((PlannedMap("fine", "gaussian", "e4", 1.0),), importance=0.75)
"""For defects that are finer than the other depths resolve, such as cracks."""
TONES = PlannedGroup((PlannedMap("gray", "bank", GRAY, 1.0),), importance=0.5)
"""For places that are too bright, too dark, too even or too sharp, such as films in voids."""
HUES = PlannedGroup((PlannedMap("colour", "bank", COLOUR, 1.0),), importance=0.5)
"""For places of another colour, such as stains that are as bright as the material."""


@dataclass(frozen=True)
class Parts:
    """What a plan has beside the Gaussians.

    Attributes
    ----------
    bank
        The bank of the network's features.
    fine
        The network's earliest output.
    gray
        The gray statistics.
    colour
        The statistics of colours.
    """

    bank: bool
    fine: bool
    gray: bool
    colour: bool

    def plan(self, *, position: bool) -> Plan:
        """The plan with these parts."""
        groups = [MATERIAL if self.bank else TEXTURE]
        if self.fine:
            groups.append(FINE)
        if self.gray:
            groups.append(TONES)
        if self.colour:
            groups.append(HUES)
        return Plan(tuple(groups), position)

"""How the normal frames looked, which a camera's health is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from semedge_calibration.json_fields import Reader


@dataclass(frozen=True)
class Appearance:
    """Ranges over the normal frames; gray values as shares of the pixel type's range.

    Attributes
    ----------
    lowest_mean_gray, highest_mean_gray
        Range of the frames' mean gray values.
    lowest_bright_gray
        Lowest of the frames' 99th percentiles.
    highest_saturated
        Highest of the frames' shares of white pixels.
    lowest_sharpness
        Lowest of the frames' sharpness values.
    """

    lowest_mean_gray: float
    highest_mean_gray: float
    lowest_bright_gray: float
    highest_saturated: float
    lowest_sharpness: float


def read_appearance(reader: Reader) -> Appearance:
    """The object in the field `appearance`."""
    inner = reader.inner("appearance")
    appearance = Appearance(
        **{name: inner.number(name) for name in Appearance.__dataclass_fields__}
    )
    inner.finish()
    return appearance

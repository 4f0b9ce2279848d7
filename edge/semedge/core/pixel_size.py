"""The size of a pixel on the specimen, as microscopes write it into or beside their pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

MICROMETRES = {
    "pm": 1e-6,
    "nm": 1e-3,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}
TESCAN, X_RESOLUTION, RESOLUTION_UNIT = 50431, 282, 296
NO_UNIT, CENTIMETRE = 1, 3
NUMBER = r"([-+.\deE]+)"
TESCAN_SIZE = re.compile(rf"PixelSizeX={NUMBER}")
OME_SIZE = re.compile(rf'PhysicalSizeX="{NUMBER}"')
OME_UNIT = re.compile(r'PhysicalSizeXUnit="([^"]+)"')
HITACHI_SIZE = re.compile(rf"^PixelSize={NUMBER}", re.MULTILINE)
JEOL_BAR = re.compile(rf"^\$\$SM_MICRON_BAR\s+{NUMBER}", re.MULTILINE)
JEOL_MARKER = re.compile(rf"^\$\$SM_MICRON_MARKER\s+{NUMBER}\s*([nuµ]?m)", re.MULTILINE)
LONGEST_NOTE_BYTES = 65_536


def pixel_size_of_tiff(tiff: TiffFile, page: TiffPage) -> float | None:
    """Micrometres of a pixel by the tags of Zeiss, FEI and Thermo, Tescan, OME or ImageJ."""
    zeiss = (tiff.sem_metadata or {}).get("ap_image_pixel_size")
    if zeiss is not None and len(zeiss) == 3:
        return _micrometres(zeiss[1], zeiss[2])
    for section in (tiff.fei_metadata or {}).values():
        if isinstance(section, Mapping) and "PixelWidth" in section:
            return _micrometres(section["PixelWidth"], "m")
    if found := TESCAN_SIZE.search(_text(page.tags.valueof(TESCAN, default=""))):
        return _micrometres(found[1], "m")
    if tiff.is_ome and (found := OME_SIZE.search(tiff.pages.first.description)):
        unit = OME_UNIT.search(tiff.pages.first.description)
        return _micrometres(found[1], unit[1] if unit else "µm")
    return _by_resolution(tiff, page)


def pixel_size_beside(path: Path) -> float | None:
    """Micrometres of a pixel by the note that Hitachi and JEOL write beside a picture."""
    try:
        with path.with_suffix(".txt").open("rb") as file:
            note = file.read(LONGEST_NOTE_BYTES).decode("latin-1")
    except OSError:
        return None
    if found := HITACHI_SIZE.search(note):
        return _micrometres(found[1], "nm")
    bar, marker = JEOL_BAR.search(note), JEOL_MARKER.search(note)
    if bar and marker:
        length_um = _micrometres(marker[1], marker[2])
        pixels = _number(bar[1])
        return length_um / pixels if length_um and pixels else None
    return None


def _by_resolution(tiff: TiffFile, page: TiffPage) -> float | None:
    """ImageJ's unit, or centimetres; inches are those of a printer."""
    resolution = page.tags.valueof(X_RESOLUTION, default=None)
    if not isinstance(resolution, tuple) or not all(resolution):
        return None
    a_unit = resolution[0] / resolution[1]
    unit = (tiff.imagej_metadata or {}).get("unit")
    if unit is not None:
        return _micrometres(1 / a_unit, str(unit).replace("\\u00B5", "µ"))
    if page.tags.valueof(RESOLUTION_UNIT, default=NO_UNIT) == CENTIMETRE:
        return _micrometres(1 / a_unit, "cm")
    return None


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _micrometres(value: Any, unit: str) -> float | None:
    number, factor = _number(value), MICROMETRES.get(unit.strip())
    return None if number is None or factor is None else number * factor

"""Options of commands that score frames.

Each gives the command its value, or, made by `setting_option`, a setting of the station file.
"""

from __future__ import annotations

from typing import Any

from semedge.commands.setting_options import FILE, Decorator, OptionMaker, field_option
from semedge.station.config.sections import DetectorSection


def detector_option(make: OptionMaker = field_option, **attributes: Any) -> Decorator:
    """`--detector`, which the command gets as `detector_path`: None for the demo detector."""
    return make(
        *(DetectorSection, "file", "--detector", "detector_path"),
        type=FILE,
        metavar="FILE",
        **attributes,
    )


def stride_option(make: OptionMaker = field_option, **attributes: Any) -> Decorator:
    """`--stride`, which the command gets as `stride_px`: None for the detector's own."""
    return make(DetectorSection, "stride_px", "--stride", "stride_px", metavar="PX", **attributes)


def workers_option(make: OptionMaker = field_option, **attributes: Any) -> Decorator:
    """`--workers`: threads, or None for all cores."""
    return make(DetectorSection, "workers", "--workers", metavar="N", **attributes)

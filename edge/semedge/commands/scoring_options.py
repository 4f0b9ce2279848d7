"""Options of commands that score frames.

Each passes its value to the command or, made by `setting_option`, sets a key of the station file.
"""

from __future__ import annotations

from typing import Any

from semedge.commands.setting_options import FILE, Decorator, OptionMaker, field_option
from semedge.station.config.sections import DetectorSection


def detector_option(make: OptionMaker = field_option, **attributes: Any) -> Decorator:
    """`--detector`, passed to the command as `detector_path`: None for the demo detector."""
    return make(
        *(DetectorSection, "file", "--detector", "detector_path"),
        type=FILE,
        metavar="FILE",
        **attributes,
    )


def stride_option(make: OptionMaker = field_option, **attributes: Any) -> Decorator:
    """`--stride`, passed to the command as `stride_px`: None for the detector's own."""
    return make(DetectorSection, "stride_px", "--stride", "stride_px", metavar="PX", **attributes)


def workers_option(make: OptionMaker = field_option, **attributes: Any) -> Decorator:
    """`--workers`: threads, or None for all cores."""
    return make(DetectorSection, "workers", "--workers", metavar="N", **attributes)

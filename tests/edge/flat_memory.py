"""Watches so many simulated frames and prints the resident memory after 1,000 and at the end."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import psutil

from semedge.decision.defect import DecisionSettings
from semedge.decision.health import HealthSettings
from semedge.journal.journal import Journal
from semedge.station.camera_plan import CameraPlan
from semedge.station.camera_setup import SourceChoice
from semedge.station.config.sections import DetectorSection
from semedge.station.inspection.limits import LoopLimits
from semedge.station.load import load_cameras
from semedge.station.retention import RetentionSettings
from semedge.station.watch import Watch, WatchSettings

SETTLED_FRAMES = 1_000
EVERY_PICTURE = HealthSettings(
    dark_share=0.0, saturated_share=1.0, sharpness_share=0.0, brightness_deviations=1e6
)
"""Small frames differ more than those of the calibration do, and every one is to be inspected."""


def main(folder: Path, detector: Path, calibration: Path, frames: int) -> None:
    plan = CameraPlan(
        "left",
        SourceChoice(f"sim:1?size=64x64&defects=0.01&frames={frames}"),
        DetectorSection(file=detector, workers=1),
        calibration,
        DecisionSettings(),
        EVERY_PICTURE,
    )
    settings = WatchSettings(
        folder / "pictures", "line 4", LoopLimits(), RetentionSettings(least_free_bytes=0)
    )
    process = psutil.Process()
    rss_bytes: list[int] = []
    with Journal(folder / "journal.sqlite") as journal:
        watch = Watch(load_cameras([plan]), journal, [], settings)

        def note() -> None:
            version = 0
            while watch.state.snapshot().cameras["left"].counters.frames_inspected < SETTLED_FRAMES:
                version = watch.state.wait(version, 1.0)
            rss_bytes.append(process.memory_info().rss)

        noter = threading.Thread(target=note, daemon=True)
        noter.start()
        summary = watch.run()
        noter.join(10)
    print(
        json.dumps(
            {
                "frames": summary.counters.frames_inspected,
                "settled_bytes": rss_bytes[0],
                "ended_bytes": process.memory_info().rss,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))

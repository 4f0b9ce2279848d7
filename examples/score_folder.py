"""The scores of a folder of images as a CSV file.

python score_folder.py IMAGES scores.csv [--detector fibre.semedge]
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from semedge import Detector, SemedgeError, open_camera


def main() -> None:
    """Write a row for each image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", help="a folder, a glob, or sim:7?frames=20 for simulated frames")
    parser.add_argument("table", type=Path, help="the CSV file to write")
    parser.add_argument("--detector", help="the bundle; by default the demo detector")
    arguments = parser.parse_args()
    with (
        Detector.load(arguments.detector) as detector,
        open_camera(arguments.images) as frames,
        arguments.table.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file)
        table.writerow(["source", "frame_score", "peak_x_px", "peak_y_px"])
        for frame in frames:
            result = detector.score(frame)
            table.writerow([frame.source, result.frame_score, *result.peak_px])


if __name__ == "__main__":
    try:
        main()
    except SemedgeError as error:
        sys.exit(f"Error: {error}")

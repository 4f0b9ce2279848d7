"""A threshold from normal frames, with its guarantee.

python calibrate_and_save.py NORMAL line.json [--detector fibre.semedge] [--rate 0.1]
"""

from __future__ import annotations

import argparse
import sys

from semedge import Detector, RefusedError, SemedgeError, calibrate, save_calibration


def main() -> None:
    """Calibrate, and write the calibration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("normal", help="normal frames: a folder, a glob, or sim:3001?frames=40")
    parser.add_argument("calibration", help="the file to write")
    parser.add_argument("--detector", help="the bundle; by default the demo detector")
    parser.add_argument("--rate", type=float, default=0.1, help="share of normal frames that alarm")
    arguments = parser.parse_args()
    with Detector.load(arguments.detector) as detector:
        calibration = calibrate(detector, arguments.normal, false_alarm_rate=arguments.rate)
    save_calibration(arguments.calibration, calibration)
    print(calibration.guarantee)
    for warning in calibration.warnings:
        print(f"Warning: {warning}.")


if __name__ == "__main__":
    try:
        main()
    except RefusedError as refusal:
        print(f"Refused: {refusal}", file=sys.stderr)
        sys.exit(refusal.exit_status)
    except SemedgeError as error:
        sys.exit(f"Error: {error}")

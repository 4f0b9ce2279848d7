"""Frames of a camera, with an action for each alarm: here a picture is written.

python follow_camera.py CAMERA line.json PICTURES [--detector fibre.semedge] [--frames 100]
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from pathlib import Path

import cv2

from semedge import Detector, Frame, ScoreMap, SemedgeError, load_calibration, open_camera


def act(frame: Frame, result: ScoreMap, threshold: float, folder: Path) -> None:
    """Write the frame with a box around each anomalous place."""
    gray = cv2.convertScaleAbs(frame.image, alpha=255 / frame.full_scale)
    picture = cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)
    for region in result.regions(threshold):
        corner = (region.left_px + region.width_px, region.top_px + region.height_px)
        cv2.rectangle(picture, (region.left_px, region.top_px), corner, (0, 0, 255), 2)
    cv2.imwrite(str(folder / f"{frame.sequence:06}.png"), picture)
    print(f"Alarm: {frame.source} scores {result.frame_score:.3g}, above {threshold:.3g}.")


def main() -> None:
    """Score frame after frame."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("camera", help="anything that --camera takes, such as sim:7?defects=0.3")
    parser.add_argument("calibration", help="the file that calibrate_and_save.py wrote")
    parser.add_argument("pictures", type=Path, help="the folder of the alarms' pictures")
    parser.add_argument("--detector", help="the bundle; by default the demo detector")
    parser.add_argument("--frames", type=int, help="frames after which to stop; by default never")
    arguments = parser.parse_args()
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    with Detector.load(arguments.detector) as detector:
        calibration = load_calibration(arguments.calibration, detector)
        with open_camera(arguments.camera) as camera:
            for frame in islice(camera, arguments.frames):
                result = detector.score(frame)
                if calibration.exceeds(result.frame_score):
                    act(frame, result, calibration.threshold, arguments.pictures)


if __name__ == "__main__":
    try:
        main()
    except SemedgeError as error:
        sys.exit(f"Error: {error}")

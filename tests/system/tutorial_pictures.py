"""The pictures of the tutorial: `tutorial_pictures.py FOLDER`, in about a minute.

Runs the tutorial's commands; `semedge` must be on the path.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).parents[1]))

from pages import blocks

PAGE = "tutorial/own-material.md"


def main(pictures: Path) -> None:
    """Write sheet.png, at half size, and alert.png, of the alert with the highest score."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["bash", "-euc", "".join(blocks(PAGE, "sh"))], cwd=folder, check=True)
        sheet = cv2.imread(str(folder / "fibre.sheet.png"), cv2.IMREAD_GRAYSCALE)
        assert sheet is not None
        half = cv2.resize(sheet, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(pictures / "sheet.png"), half)
        with (folder / "events.csv").open(encoding="utf-8-sig") as file:
            worst = max(csv.DictReader(file), key=lambda row: float(row["frame_score"]))
        (pictures / "alert.png").write_bytes(Path(worst["overlay_picture"]).read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""docs/reference/python.md and examples/ as they stand, where no extra is installed."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import cv2
import pytest
from commandline import EDGE_ONLY, Result, environment
from pages import DOCS, blocks

from semedge.cameras.simulation import SimulatedLine

EXAMPLES = DOCS.parent / "examples"
SHAPE = (96, 128)
NORMAL = "sim:3001?size=128x96&frames=40"


def run(folder: Path, program: Path, *arguments: object) -> Result:
    ended = subprocess.run(
        [*EDGE_ONLY, str(program), *map(str, arguments)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Result(ended.returncode, ended.stdout, ended.stderr)


def write_frames(folder: Path, seed: int, count: int, defect_rate: float = 0.0) -> None:
    folder.mkdir()
    line = SimulatedLine(seed, shape=SHAPE, defect_rate=defect_rate)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), line.frame(number).image)


def test_the_code_of_the_page_runs(tmp_path: Path) -> None:
    shutil.copy(str(files("semedge").joinpath("data/demo.semedge")), tmp_path / "fibre.semedge")
    write_frames(tmp_path / "line", seed=3, count=5, defect_rate=1.0)
    write_frames(tmp_path / "good", seed=4, count=40)
    parts = blocks("reference/python.md", "python")
    program = tmp_path / "page.py"
    program.write_text("\n".join(["import sys", *parts, "assert 'tensorflow' not in sys.modules"]))
    result = run(tmp_path, program)
    assert result.status == 0, result.err
    assert "line/4.png" in result.out
    assert "needs 29 independent frames" in result.out
    assert "With 95 % confidence, at most 10 % of normal frames raise an alarm" in result.out
    assert "sim:7?size=320x256&frames=20&defects=0.3#" in result.out, "defects, and no alarm"
    assert json.loads((tmp_path / "line.json").read_text())["groups"] == 40


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("image.astype(float)", "dtype float64, shape (96, 128)"),
        ("image[None]", "dtype uint8, shape (1, 96, 128)"),
    ],
)
def test_an_array_that_cannot_be_a_frame_gets_a_sentence(
    tmp_path: Path, change: str, sentence: str
) -> None:
    write_frames(tmp_path / "line", seed=3, count=1)
    program = tmp_path / "wrong.py"
    program.write_text(
        "from semedge import Detector, SemedgeError, read_image\n"
        "image = read_image('line/0.png')\n"
        f"try:\n    Detector.load(None).score({change})\n"
        "except SemedgeError as error:\n    print(error)\n"
    )
    result = run(tmp_path, program)
    assert (result.status, result.err) == (0, "")
    assert result.out.rstrip().endswith(f"Received: {sentence}")


def test_the_examples_run(tmp_path: Path) -> None:
    write_frames(tmp_path / "line", seed=3, count=5, defect_rate=1.0)
    scored = run(tmp_path, EXAMPLES / "score_folder.py", "line", "scores.csv")
    assert scored.status == 0, scored.err
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
    assert [row["source"] for row in rows] == [f"line/{number}.png" for number in range(5)]
    saved = run(tmp_path, EXAMPLES / "calibrate_and_save.py", NORMAL, "line.json")
    assert saved.status == 0, saved.err
    assert saved.out.startswith("With 95 % confidence, at most 10 % of normal frames")
    followed = run(tmp_path, EXAMPLES / "follow_camera.py", "line", "line.json", "pictures")
    assert followed.status == 0, followed.err
    threshold = json.loads((tmp_path / "line.json").read_text())["threshold"]
    above = [row for row in rows if float(row["frame_score"]) > threshold]
    assert above, "five defects, and none was seen"
    assert followed.out.count("Alarm: ") == len(above)
    assert len(list((tmp_path / "pictures").glob("*.png"))) == len(above)


def test_an_example_that_fails_gives_one_sentence(tmp_path: Path) -> None:
    refused = run(tmp_path, EXAMPLES / "calibrate_and_save.py", "sim:1?frames=9", "line.json")
    assert refused.status == 3
    assert refused.err.startswith("Refused: ")
    assert not (tmp_path / "line.json").exists()
    absent = run(tmp_path, EXAMPLES / "score_folder.py", "nowhere", "scores.csv")
    assert absent.status == 1
    assert absent.err.startswith("Error: There is no file, folder or match for nowhere")


def test_every_example_is_run() -> None:
    listed = {path.name for path in EXAMPLES.glob("*.py")}
    assert listed == {"score_folder.py", "calibrate_and_save.py", "follow_camera.py"}
    for name in listed:
        assert f"`{name}`" in (EXAMPLES / "README.md").read_text()

"""The demo detector on 64-bit Arm, under user emulation: it runs, and scores as it does here.

How fast an emulated processor is says nothing of a real one.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest
from commandline import environment
from numpy.typing import NDArray

from semedge.cameras.simulation import SimulatedLine

PROJECT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("score_patches.py")
SHAPE = (80, 112)
"""24 patches: one batch, which takes the emulator seconds."""
LONGEST_S = 280
TOLERANCE = 0.02
"""Of a standard deviation of the scores."""


@pytest.fixture(scope="module")
def arm_folder() -> Path:
    """What `make .venv-arm/ready` sets up: `root`, a Debian for Arm, and `site`, the packages."""
    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip("there is no qemu-aarch64-static; apt-get install qemu-user-static")
    folder = Path(os.environ.get("SEMEDGE_ARM", PROJECT / ".venv-arm"))
    if not (folder / "site" / "numpy").is_dir():
        pytest.skip(f"{folder} holds no Arm packages; make .venv-arm/ready")
    return folder


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    line = SimulatedLine(3003, shape=SHAPE, defect_rate=1.0)
    path = tmp_path_factory.mktemp("frames") / "frames.npy"
    np.save(path, line.frame(0).image[None])
    return path


def run(arguments: list[str], **variables: str) -> str:
    ended = subprocess.run(
        arguments,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def run_on_arm(folder: Path, *arguments: object) -> str:
    """What a Python program prints on the emulated processor, that of a Raspberry Pi 4."""
    root = folder / "root"
    (python,) = (root / "usr" / "bin").glob("python3.[0-9]*")
    roots = [*(PROJECT / name for name in ("calibration", "edge")), folder / "site"]
    variables = {
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": os.pathsep.join(map(str, roots)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    passed = [part for name, value in variables.items() for part in ("-E", f"{name}={value}")]
    return run(
        [
            *("qemu-aarch64-static", "-cpu", "cortex-a72", "-L", str(root), *passed),
            *(str(python), *map(str, arguments)),
        ]
    )


def scores_at(path: Path) -> NDArray[np.float64]:
    return np.load(path).ravel().astype(np.float64)


def test_scores_are_those_of_this_machine(arm_folder: Path, frames: Path, tmp_path: Path) -> None:
    assert platform.machine() != "aarch64", "nothing is emulated on Arm itself"
    script = tmp_path / "on_arm.py"
    script.write_text(
        f"import platform, runpy; print(platform.machine())\nrunpy.run_path({str(SCRIPT)!r})\n"
    )
    with as_file(files("semedge").joinpath("data/demo.semedge")) as bundle:
        output = run_on_arm(arm_folder, script, bundle, frames, tmp_path / "arm.npy")
        run([sys.executable, *map(str, (SCRIPT, bundle, frames, tmp_path / "here.npy"))])
    assert output.split() == ["aarch64", "ai-edge-litert"]
    there, here = scores_at(tmp_path / "arm.npy"), scores_at(tmp_path / "here.npy")
    assert here.std() > 0
    np.testing.assert_allclose(there, here, rtol=0, atol=TOLERANCE * here.std())

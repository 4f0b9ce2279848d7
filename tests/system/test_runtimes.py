"""LiteRT and tflite-runtime give the scores of one bundle alike."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest
from bundles import tiny_bundle
from commandline import environment
from fully_convolutional_bundles import fully_convolutional_bundle
from learned import learned
from numpy.typing import NDArray

from semedge.cameras.simulation import SimulatedLine
from semedge.learning.options import LearnOptions

FRAMES = 6
SHAPE = (256, 320)


@dataclass(frozen=True)
class Agreement:
    """How alike the patch scores of two runtimes are.

    Attributes
    ----------
    rank_correlation
        Spearman's.
    mean_difference, largest_difference
        In standard deviations of the scores.
    """

    rank_correlation: float
    mean_difference: float
    largest_difference: float

    @classmethod
    def between(cls, scores: NDArray[np.float64], others: NDArray[np.float64]) -> Agreement:
        assert scores.shape == others.shape
        ranks = [values.argsort(kind="stable").argsort() for values in (scores, others)]
        differences = np.abs(scores - others) / scores.std()
        return cls(
            float(np.corrcoef(*ranks)[0, 1]), float(differences.mean()), float(differences.max())
        )


@pytest.fixture(scope="module")
def tflite_python() -> str:
    """A Python that has tflite-runtime and semedge, and no LiteRT."""
    python = os.environ.get("SEMEDGE_TFLITE_PYTHON")
    if not python:
        pytest.skip(
            "SEMEDGE_TFLITE_PYTHON names no Python with tflite-runtime; `make test` sets it, or "
            "`make .venv-tflite/ready` and SEMEDGE_TFLITE_PYTHON=$PWD/.venv-tflite/bin/python"
        )
    probe = subprocess.run(
        [python, "-c", "import tflite_runtime"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "ModuleNotFoundError" in probe.stderr:
        pytest.skip(
            f"{python} has no tflite-runtime, which no Python after 3.11 can have; use Python "
            "3.10 or 3.11: make test PYTHON=python3.11"
        )
    return python


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated frames as one array, so that both Pythons see the same pixels."""
    line = SimulatedLine(3003, shape=SHAPE, defect_rate=0.5)
    path = tmp_path_factory.mktemp("frames") / "frames.npy"
    np.save(path, np.stack([line.frame(number).image for number in range(FRAMES)]))
    return path


def scores_by(python: str, runtime: str, bundle: Path, frames: Path) -> NDArray[np.float64]:
    """Patch scores by this Python, which has to use this runtime."""
    scores = frames.with_name(f"{runtime}.npy")
    script = Path(__file__).with_name("score_patches.py")
    ended = subprocess.run(
        [python, *map(str, (script, bundle, frames, scores))],
        env=environment(),
        cwd=frames.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == [runtime]
    return np.load(scores).ravel().astype(np.float64)


def compare(bundle: Path, frames: Path, tflite_python: str) -> Agreement:
    return Agreement.between(
        scores_by(sys.executable, "ai-edge-litert", bundle, frames),
        scores_by(tflite_python, "tflite-runtime", bundle, frames),
    )


@pytest.fixture(scope="module")
def int8_agreement(frames: Path, tflite_python: str) -> Agreement:
    """Of the demo detector's scores."""
    with as_file(files("semedge").joinpath("data/demo.semedge")) as bundle:
        return compare(bundle, frames, tflite_python)


@pytest.fixture(scope="module")
def learned_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `semedge learn` fits to simulated fibres."""
    path = tmp_path_factory.mktemp("learned") / "learned.semedge"
    learned(LearnOptions(even_light="on", position="off"), 12).write(path)
    return path


def test_float_graphs_score_alike(tmp_path: Path, frames: Path, tflite_python: str) -> None:
    agreement = compare(tiny_bundle(tmp_path / "tiny.semedge"), frames, tflite_python)
    assert agreement.rank_correlation > 0.9999
    assert agreement.largest_difference < 1e-3


def test_graphs_over_the_frame_score_alike(
    tmp_path: Path, frames: Path, tflite_python: str
) -> None:
    agreement = compare(
        fully_convolutional_bundle(tmp_path / "tiny.semedge"), frames, tflite_python
    )
    assert agreement.rank_correlation > 0.9999
    assert agreement.largest_difference < 1e-3


def test_int8_graphs_score_nearly_alike(int8_agreement: Agreement) -> None:
    """tflite-runtime runs int8 graphs with TFLite's own kernels, whose leaky ReLU rounds negative
    values down by a third of a step; LiteRT's XNNPACK computes them exactly.
    """
    assert int8_agreement.rank_correlation > 0.97
    assert int8_agreement.mean_difference < 0.15


def test_whole_frame_graphs_score_alike(
    learned_bundle: Path, frames: Path, tflite_python: str
) -> None:
    agreement = compare(learned_bundle, frames, tflite_python)
    assert agreement.rank_correlation > 0.98
    assert agreement.mean_difference < 0.12

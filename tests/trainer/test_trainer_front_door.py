"""`import semedge_trainer`: the names that it promises, and the page's code as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import tiny_calibration
from pages import blocks

import semedge_trainer
from semedge.cameras.simulation import SimulatedLine
from semedge.core.errors import SemedgeError
from semedge.inference.bundle import read_bundle
from semedge_trainer import evaluate, export, train
from semedge_trainer.detectors.base import TrainableDetector
from semedge_trainer.training import train as training
from semedge_trainer.training.run import Run

NAMES = ["TrainableDetector", "evaluate", "export", "train"]
SHAPE = (96, 128)


def write_frames(folder: Path, seed: int, count: int) -> None:
    folder.mkdir()
    line = SimulatedLine(seed=seed, shape=SHAPE, defect_rate=0.0)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), line.frame(number).image)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Normal frames, and anomalous ones with their masks."""
    monkeypatch.setattr(training, "SAMPLE_PATCHES", 1024)
    monkeypatch.chdir(tmp_path)
    write_frames(tmp_path / "normal", seed=1, count=3)
    write_frames(tmp_path / "anomalous", seed=2, count=3)
    (tmp_path / "masks").mkdir()
    for number in range(3):
        mask = np.zeros(SHAPE, np.uint8)
        mask[30:70, 40:100] = 255
        path = tmp_path / "anomalous" / f"{number}.png"
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        image[mask > 0] = np.random.default_rng(number).integers(0, 256, np.count_nonzero(mask))
        cv2.imwrite(str(path), image)
        cv2.imwrite(str(tmp_path / "masks" / f"{number}_mask.png"), mask)
    return tmp_path


def test_the_names_are_these_and_no_others() -> None:
    assert semedge_trainer.__all__ == NAMES
    assert set(NAMES) <= set(dir(semedge_trainer))
    assert semedge_trainer.TrainableDetector is TrainableDetector
    # The folder of this name is imported by now, and does not stand before the function.
    assert callable(semedge_trainer.export)
    with pytest.raises(AttributeError, match="'semedge_trainer' has no attribute 'Trainable'"):
        semedge_trainer.Trainable  # noqa: B018


def test_the_page_lists_them() -> None:
    (_, listed) = blocks("reference/python.md", "")[0].split("from semedge_trainer import")
    assert sorted(re.findall(r"\w+", listed.partition("#")[0])) == NAMES


def test_nothing_is_loaded_until_a_name_is_used() -> None:
    program = (
        "import sys\nfrom semedge_trainer import evaluate, export, train\n"
        "assert not {'numpy', 'tensorflow', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_code_of_the_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("reference/python.md", "python train")
    exec(compile(code, "python.md", "exec"), {})
    measured, score = capsys.readouterr().out.split("\n")[-3:-1]
    name, patches, frames = measured.split()
    assert name == score
    assert float(patches) > 0.9
    assert frames == "None", "there is no normal frame to compare with"
    manifest = read_bundle(folder / "pca.semedge").manifest
    assert (manifest.detector, manifest.stride_px) == ("pca", 16)


def test_options_are_those_of_the_command(folder: Path) -> None:
    run = train("normal", folder / "run", detector="pca", options={"components": 8}, steps=2)
    assert Run.open(run).record.options["components"] == 8
    with pytest.raises(SemedgeError, match="holds a training already"):
        train("normal", run, detector="pca")
    assert train("normal", run, resume=True) == run


def test_an_evaluation_at_a_calibrated_threshold(
    folder: Path, bundle_file: Path, tmp_path: Path
) -> None:
    calibration = tiny_calibration(tmp_path / "c.json", bundle_file)
    evaluation = evaluate(
        bundle_file, "anomalous", "masks", protocol="pixel", calibration=calibration
    )
    assert list(evaluation.results) == ["pixel"]
    document = evaluation.document()
    assert document["detector"]["path"] == str(bundle_file)
    assert document["calibration"]["score"] == "gaussian"
    assert evaluation.results["pixel"].rows[0].samples.calibrated is not None


def test_what_cannot_be_is_said_in_a_sentence(folder: Path, bundle_file: Path) -> None:
    with pytest.raises(SemedgeError, match=r"protocol must be .* Received: 'pixels'"):
        evaluate(bundle_file, "anomalous", "masks", protocol="pixels")  # type: ignore[arg-type]
    with pytest.raises(SemedgeError, match="There is no option 'sound'"):
        train("normal", "run", detector="pca", options={"sound": 1})
    with pytest.raises(SemedgeError, match="is not a run folder"):
        export("normal", "d.semedge")


def test_onednn_is_on_whichever_module_comes_first() -> None:
    code = (
        "import os, semedge_trainer.components.losses;"
        "from tensorflow.python.util import _pywrap_util_port as port;"
        "print(os.environ['TF_ENABLE_ONEDNN_OPTS'], port.IsMklEnabled())"
    )
    unset = {name: value for name, value in os.environ.items() if "ONEDNN" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code], env=unset, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "True"]


def test_the_default_detector_is_fitted_where_none_is_named(folder: Path) -> None:
    assert Run.open(train("normal", folder / "run")).record.detector == "texture-gaussian"

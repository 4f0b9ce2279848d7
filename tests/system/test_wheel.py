"""The wheel holds what an edge device needs, and nothing of the tests."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from commandline import succeed

from semedge.core.version import __version__

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = ("calibration", "edge", "trainer", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
PACKAGES = {"semedge", "semedge_calibration", "semedge_trainer"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, because setuptools writes beside what it builds."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (PROJECT / name).is_dir():
            shutil.copytree(
                PROJECT / name,
                folder / "project" / name,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        else:
            shutil.copy(PROJECT / name, folder / "project" / name)
    built = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--disable-pip-version-check"),
            *("--wheel-dir", str(folder), str(folder / "project")),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if "No matching distribution found for setuptools" in built.stderr:
        pytest.skip("pip can fetch no setuptools; connect to a package index: make test")
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """Files of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_it_holds_every_module_and_its_data(names: set[str]) -> None:
    for root in ("calibration", "edge", "trainer"):
        modules = {
            path.relative_to(PROJECT / root).as_posix() for path in (PROJECT / root).rglob("*.py")
        }
        assert modules <= names
    assert {"semedge/data/demo.semedge", "semedge/data/features.tflite"} <= names
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


def test_it_holds_nothing_else(names: set[str]) -> None:
    information = f"semedge-{__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {*PACKAGES, information}
    of_tests = {name for name in names if "test" in name.lower()}
    assert of_tests == {"semedge/commands/test_alert.py"}
    kinds = {Path(name).suffix for name in names if not name.startswith(information)}
    of_the_page = {".html", ".js", ".css", ".svg"}
    assert kinds == {".py", ".typed", ".semedge", ".tflite", ".json"} | of_the_page


def test_it_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < 8_000_000


def test_its_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        folder = f"semedge-{__version__}.dist-info"
        metadata = Parser().parsestr(archive.read(f"{folder}/METADATA").decode())
        for name in ("LICENSE", "NOTICE"):
            assert archive.read(f"{folder}/licenses/{name}") == (PROJECT / name).read_bytes()
        entry_points = configparser.ConfigParser()
        entry_points.read_string(archive.read(f"{folder}/entry_points.txt").decode())
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert {"train", "train-gpu", "tflite", "dev"} <= set(metadata.get_all("Provides-Extra"))
    base = [each for each in metadata.get_all("Requires-Dist") if "extra ==" not in each]
    assert not [each for each in base if each.startswith(("tensorflow", "tf_keras", "scikit"))]
    assert entry_points["console_scripts"]["semedge"] == "semedge.cli:main"
    assert set(entry_points["semedge.commands"]) == {
        "ablate",
        "detectors",
        "evaluate",
        "export",
        "train",
    }


def test_what_it_holds_runs(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    (calibration,) = succeed(
        tmp_path,
        *("calibrate", "--images", "sim:1?size=64x64&frames=29", "--false-alarm-rate", 0.1),
        *("--out", "c.json", "--json"),
        PYTHONPATH=str(installed),
    ).events
    assert calibration["groups"] == 29

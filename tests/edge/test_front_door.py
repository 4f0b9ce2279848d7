"""`import semedge`: its public names, none of which is loaded before it is used."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from pages import blocks

import semedge
from semedge.core.version import __version__

NAMES = [
    "Calibration",
    "Camera",
    "Detector",
    "Frame",
    "LearnOptions",
    "RefusedError",
    "ScoreMap",
    "SemedgeError",
    "__version__",
    "calibrate",
    "learn",
    "load_calibration",
    "open_camera",
    "read_image",
    "save_calibration",
]


def test_the_names_are_these_and_no_others() -> None:
    assert semedge.__all__ == NAMES
    assert set(NAMES) <= set(dir(semedge))
    for name in NAMES:
        assert getattr(semedge, name) is not None
    assert semedge.__version__ == __version__
    with pytest.raises(AttributeError, match=r"'semedge' .*'Detecter'"):
        semedge.Detecter  # noqa: B018


def test_the_page_lists_them() -> None:
    (listed, _) = blocks("reference/python.md", "")[0].split("from semedge_trainer")
    assert sorted(re.findall(r"\w+(?=,)", re.sub(r"#.*", "", listed))) == sorted(NAMES)


def run(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_nothing_is_loaded_until_a_name_is_used() -> None:
    run("import semedge, sys; assert 'numpy' not in sys.modules; assert 'cv2' not in sys.modules")


def test_no_name_loads_tensorflow_or_a_package_of_an_extra() -> None:
    run(
        "from semedge import *\nimport sys\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "extras = {'tensorflow', 'keras', 'fastapi', 'paho', 'httpx', 'asyncua', 'pymodbus'}\n"
        "assert 'numpy' in loaded and not loaded & extras, loaded & extras"
    )

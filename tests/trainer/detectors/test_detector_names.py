"""Names of detectors are known, and wrong ones refused, before TensorFlow is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from semedge.core.errors import SemedgeError
from semedge_trainer.commands.detector_names import OWN, check_name
from semedge_trainer.detectors import DETECTORS


def test_the_names_are_those_of_the_detectors() -> None:
    assert sorted(OWN) == sorted(DETECTORS)


def test_a_wrong_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(SemedgeError, match=r"gan0maly.*ganomaly"):
        check_name("gan0maly")


def test_no_tensorflow_is_imported_to_refuse_a_name(tmp_path: Path) -> None:
    arguments = ("--images", "x", "--out", "run", "--detector", "nothing")
    code = (
        "import atexit, sys; from semedge.cli import main; "
        "atexit.register(lambda: print('tensorflow' in sys.modules)); "
        f"sys.argv = ['semedge', 'train', *{arguments!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.strip() == "False"
    assert "nothing" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []

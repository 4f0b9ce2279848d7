"""`make lint` holds the arrows between rooms: a wrong import breaks the contract."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ROOTS = ("calibration", "edge", "trainer")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and of their contract."""
    copy = tmp_path_factory.mktemp("project")
    shutil.copy(PROJECT / ".importlinter", copy)
    for root in ROOTS:
        shutil.copytree(PROJECT / root, copy / root, ignore=shutil.ignore_patterns("*.semedge"))
    return copy


def lint(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=project,
        env={"PYTHONPATH": ":".join(str(project / root) for root in ROOTS), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("file", "planted", "imported"),
    [
        ("edge/semedge/core/errors.py", "import semedge.state.state", "semedge.state.state"),
        ("edge/semedge/sinks/mqtt.py", "import semedge.station.watch", "semedge.station.watch"),
        ("edge/semedge/learning/learn.py", "import semedge.cameras.base", "semedge.cameras.base"),
        ("edge/semedge/web/app.py", "import semedge.sinks.mqtt", "semedge.sinks.mqtt"),
        ("edge/semedge/station/demo.py", "import semedge_trainer.extra", "semedge_trainer.extra"),
        (
            "trainer/semedge_trainer/components/losses.py",
            "import semedge_trainer.training.run",
            "semedge_trainer.training.run",
        ),
        (
            "calibration/semedge_calibration/errors.py",
            "import semedge.core.errors",
            "semedge.core.errors",
        ),
    ],
)
def test_a_planted_import_is_found(project: Path, file: str, planted: str, imported: str) -> None:
    path = project / file
    original = path.read_text()
    path.write_text(original + f"\n{planted}\n")
    try:
        found = lint(project)
    finally:
        path.write_text(original)
    assert found.returncode == 1, found.stdout + found.stderr
    assert f"{Path(file).stem} -> {imported}" in found.stdout


def test_the_packages_keep_the_contract(project: Path) -> None:
    clean = lint(project)
    assert clean.returncode == 0, clean.stdout + clean.stderr

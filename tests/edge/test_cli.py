"""The command line starts fast, and the edge never loads what only the trainer needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from semedge.cli import EDGE_COMMANDS, TRAINER_COMMANDS
from semedge.core.version import __version__

HEAVY = {"numpy", "cv2", "tensorflow", "keras", "pydantic", "rich", "ai_edge_litert"}
TRAINER_ONLY = {
    *("tensorflow", "keras", "tf_keras", "tensorflow_model_optimization"),
    *("sklearn", "scipy", "matplotlib", "semedge_trainer", "ray"),
}

REPORT = """
import json, os, sys
from pathlib import Path
from semedge.cli import main
try:
    main()
except SystemExit as ended:
    packages = sorted({name.split(".")[0] for name in sys.modules})
    Path(os.environ["REPORT"]).write_text(json.dumps([ended.code, packages]))
"""


def packages_loaded(tmp_path: Path, *arguments: str) -> set[str]:
    """Top-level packages that a command had loaded when it ended well."""
    report = tmp_path / "report.json"
    process = subprocess.run(
        [sys.executable, "-c", REPORT, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "REPORT": str(report)},
    )
    status, packages = json.loads(report.read_text())
    assert status == 0, process.stderr
    return set(packages)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"]])
def test_help_loads_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    loaded = packages_loaded(tmp_path, *arguments)
    assert "click" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("command", sorted(EDGE_COMMANDS))
def test_the_help_of_an_edge_command_does_not_load_the_trainer(
    tmp_path: Path, command: str
) -> None:
    assert not packages_loaded(tmp_path, command, "--help") & TRAINER_ONLY


def test_edge_commands_at_work_do_not_load_the_trainer(
    tmp_path: Path, images: Path, tiny_file: Path, calibration_file: Path
) -> None:
    given = ["--detector", str(tiny_file), "--calibration", str(calibration_file)]
    loaded = packages_loaded(tmp_path, "watch", "--camera", str(images), *given)
    assert {"numpy", "cv2", "ai_edge_litert"} <= loaded
    assert not loaded & TRAINER_ONLY
    assert len(list(tmp_path.rglob("*-overlay.png"))) == 1, "an alert was part of the work"
    assert not packages_loaded(tmp_path, "score", str(images), *given) & TRAINER_ONLY
    assert not packages_loaded(tmp_path, "inspect", str(tiny_file)) & TRAINER_ONLY


def test_help_lists_every_command() -> None:
    output = subprocess.run(
        [sys.executable, "-c", "from semedge.cli import main; main()", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    for name, described in (EDGE_COMMANDS | TRAINER_COMMANDS).items():
        assert f"  {name} " in output
        assert described.split()[0] in output


def test_version_and_unknown_commands() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from semedge.cli import main; main()", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert __version__ in run("--version").stdout
    unknown = run("wach")
    assert unknown.returncode == 2
    assert "No such command 'wach'" in unknown.stderr
    assert "Traceback" not in unknown.stderr


def test_a_command_of_the_edge_leaves_the_cores_to_the_graphs() -> None:
    code = (
        "import os; from semedge.cli import cli; os.environ.pop('OPENBLAS_NUM_THREADS', None); "
        "cli(['score', '--help'], standalone_mode=False); print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "1"

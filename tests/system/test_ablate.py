"""`semedge ablate` in processes of its own: interrupted, resumed, and on a Ray cluster."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ablations import arguments, finish, make_frames, planned
from clusters import local_cluster
from commandline import SEMEDGE, environment, succeed

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None,
    reason="TensorFlow is not installed; pip install -e '.[train]'",
)

START_S = 120
COMPUTED_S = 400
CELL = "anogan_IN-SL_0"


def cells(folder: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in (folder / "out" / "cells").glob("*.json")}


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + START_S
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not come"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_is_finished_stays_and_the_rest_is_computed(tmp_path: Path) -> None:
    finish(tmp_path / "out", planned(make_frames(tmp_path)))
    before = cells(tmp_path)
    process = subprocess.Popen(
        [*SEMEDGE, *map(str, arguments(tmp_path))],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A shell without job control starts what runs in the background deaf to SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        wait_for(tmp_path / "out" / "logs" / f"{CELL}.log")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1
    assert "7 of 8 cells are there, 1 to compute." in said
    assert "the same command resumes from there" in said
    assert cells(tmp_path) == before

    (document,) = succeed(tmp_path, *arguments(tmp_path), "--json", timeout_s=COMPUTED_S).events
    after = cells(tmp_path)
    assert {name: after[name] for name in before} == before
    assert document["failures"] == {}
    (cell,) = [each for each in document["cells"] if each["settings"]["subset"] == "IN + SL"]
    assert cell["result"]["score"] == "inversion"
    assert cell["result"]["patches"] == 8
    assert cell["result"]["anomalous"] == 3
    assert 0 <= cell["result"]["auroc"] <= 1
    assert 0 <= cell["result"]["calibrated_f1"] <= cell["result"]["f1"] <= 1
    assert list((tmp_path / "out" / "runs").iterdir()) == [], "runs of finished cells are removed"
    table = (tmp_path / "out" / "ablation.md").read_text()
    assert f"| IN + SL | {cell['result']['auroc']:.3f}" in table


@pytest.fixture
def ray_cluster() -> Iterator[str]:
    with local_cluster() as address:
        yield address


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cell_is_computed_on_a_ray_cluster(tmp_path: Path, ray_cluster: str) -> None:
    finish(tmp_path / "out", planned(make_frames(tmp_path)))
    before = cells(tmp_path)
    (document,) = succeed(
        tmp_path, *arguments(tmp_path), "--ray", ray_cluster, "--json", timeout_s=COMPUTED_S
    ).events
    assert document["failures"] == {}
    assert set(cells(tmp_path)) - set(before) == {CELL}
    (cell,) = [each for each in document["cells"] if each["settings"]["subset"] == "IN + SL"]
    assert cell["result"]["patches"] == 8
    assert not (tmp_path / "out" / "runs").exists(), "the run was on the cluster"

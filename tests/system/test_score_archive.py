"""`semedge score` on an archive: killed and resumed, and on a Ray cluster."""

from __future__ import annotations

import csv
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from bundles import normal_frames, tiny_bundle, with_film
from clusters import local_cluster
from commandline import SEMEDGE, call, environment, succeed

from semedge.cameras.simulation import SimulatedLine

FILES = 300
STARTED_BYTES = 60_000
"""Size of the store's log from which on some results are in it."""
START_S = 60


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny.semedge")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Many files, a few pictures; two that are none."""
    folder = tmp_path / "archive"
    folder.mkdir()
    line = SimulatedLine(21, shape=(192, 256), defect_rate=0.3)
    for number in range(12):
        cv2.imwrite(str(tmp_path / f"{number}.png"), line.frame(number).image)
    for number in range(FILES):
        (folder / f"f{number}.png").symlink_to(tmp_path / f"{number % 12}.png")
    for number in (100, 200):
        (folder / f"f{number}.png").unlink()
        (folder / f"f{number}.png").write_bytes(b"no picture")
    return folder


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def kill_midway(folder: Path, log: Path, *arguments: object) -> None:
    """Start a command and kill it, for which there is no defence, once its store grows."""
    process = subprocess.Popen(
        [*SEMEDGE, *map(str, arguments)],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_S
        while not (log.exists() and log.stat().st_size > STARTED_BYTES):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline, "nothing is stored"
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL


def test_a_killed_run_goes_on_and_gives_the_same_table(
    tmp_path: Path, archive: Path, bundle: Path
) -> None:
    arguments = ("score", archive, "--detector", bundle, "--stride", 16, "--out")
    kill_midway(tmp_path, tmp_path / "killed.csv.partial-wal", *arguments, "killed.csv")
    assert not (tmp_path / "killed.csv").exists()
    resumed = succeed(tmp_path, *arguments, "killed.csv")
    (line,) = [line for line in resumed.err.splitlines() if "already scored" in line]
    already = int(line.split(" of ")[0])
    assert 0 < already < FILES - 2
    assert resumed.err.count("Skipped: ") == 2
    assert "298 scored, 2 skipped; the scores are in killed.csv." in resumed.err
    succeed(tmp_path, *arguments, "whole.csv")
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    paths = [row["path"] for row in read_csv(tmp_path / "killed.csv")]
    assert len(paths) == len(set(paths)) == FILES - 2
    assert not list(tmp_path.glob("*.partial*"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with local_cluster() as address:
        yield address


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Twenty frames, one with a film, and two files that cannot be scored."""
    folder = tmp_path / "few"
    folder.mkdir()
    normal = normal_frames()
    for number in range(20):
        image = with_film(normal[2]) if number == 7 else normal[number % len(normal)][number:]
        cv2.imwrite(str(folder / f"f{number}.png"), image)
    (folder / "broken.png").write_bytes(b"no picture")
    cv2.imwrite(str(folder / "small.png"), normal[0][:20])
    return folder


@pytest.mark.timeout(600)
def test_a_cluster_gives_the_same_table(
    tmp_path: Path, few: Path, bundle: Path, cluster: str
) -> None:
    arguments = ("score", "few", "--detector", bundle, "--stride", 16)
    here = succeed(tmp_path, *arguments, "--out", "here.csv")
    there = succeed(tmp_path, *arguments, "--ray", cluster, "--out", "there.csv")
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()
    assert len(read_csv(tmp_path / "there.csv")) == 20
    for result in (here, there):
        skipped = [line for line in result.err.splitlines() if line.startswith("Skipped: few/")]
        assert len(skipped) == 2
        assert "20 scored, 2 skipped; the scores are in " in result.err
    assert re.search(r"few/small\.png .*256x20 px", there.err)


def test_an_absent_cluster_is_reported_at_once(tmp_path: Path, few: Path, bundle: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed; pip install -e '.[cluster]'")
    address = "127.0.0.1:1"
    result = call(
        *(tmp_path, "score", few, "--detector", bundle, "--ray", address, "--out", "s.csv"),
        timeout_s=60,
    )
    assert result.status == 1
    assert re.search(r"127\.0\.0\.1:1 .*Connection refused.*`ray start --head`", result.error)
    assert len(result.error.splitlines()) == 1

"""`semedge bench`: the pace of a detector on this machine, and the setting that it writes."""

from __future__ import annotations

import json
import multiprocessing
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bundles import tiny_bundle
from commandcall import Call
from frame_bundles import frame_bundle

from semedge.commands.bench import simulated_frames
from semedge.core.errors import SemedgeError
from semedge.inference.benchmark import Pace, Percentiles, Workload, choose, measure, workers_to_try
from semedge.inference.bundle import read_bundle, read_demo_bundle
from semedge.station.config.edit import detector_tables, write_workers
from semedge.station.config.station import load_station

SHORT = ("--size", "96x64", "--seconds", "0.1")
STAGES = {"prepare", "network", "score", "stitch", "whole"}

MakeBundle = Callable[[Path], Path]


def pace(workers: int, median_ms: float) -> Pace:
    return Pace(workers, 10, 1e3 / median_ms, 80.0, {"whole": Percentiles(median_ms, 99, 99)})


@pytest.mark.parametrize(
    ("make", "kind", "batch"), [(tiny_bundle, "patch", 32), (frame_bundle, "frame", 1)]
)
def test_both_kinds_of_detectors_are_measured(
    call: Call, tmp_path: Path, make: MakeBundle, kind: str, batch: int
) -> None:
    bundle = make(tmp_path / "detector.semedge")
    result = call("bench", bundle, *SHORT, "--json")
    assert result.status == 0, result.err
    document = json.loads(result.out)
    assert document["detector"]["sha256"] == read_bundle(bundle).sha256
    assert document["detector"]["kind"] == kind
    assert document["batch"] == batch
    assert document["frame_px"] == [96, 64]
    assert document["patches"] == (96 // document["stride_px"]) * (64 // document["stride_px"])
    tried = [setting["workers"] for setting in document["settings"]]
    assert tried == workers_to_try(document["cores"])
    assert document["best"]["workers"] in tried
    assert document["written"] is None
    for setting in document["settings"]:
        assert set(setting["stages_ms"]) == STAGES
        whole = setting["stages_ms"]["whole"]
        assert 0 < whole["p50"] <= whole["p95"] <= whole["p99"]
        assert setting["stages_ms"]["network"]["p50"] > 0
        assert 1e3 / setting["frames_per_s"] >= whole["p50"] / 2, "no mean is below half of it"
        assert 20 < setting["memory_mb"] < 400


def test_the_demo_detector_is_measured_where_none_is_given(call: Call) -> None:
    result = call("bench", *SHORT, "--stride", 32)
    assert result.status == 0, result.err
    assert "the demo detector (sencebgan, residual_surprise, int8) on frames of 96x64 px, " in (
        result.err
    )
    assert "6 patches in batches of 32" in result.err
    for word in ("frames/s", "p99 ms", "memory MB", *STAGES):
        assert word in result.out
    assert "fewer than 100 frames" in result.err
    assert "Best: " in result.err


def test_more_workers_must_be_worth_it() -> None:
    assert choose([pace(1, 100.0), pace(2, 98.0)]).workers == 1
    assert choose([pace(1, 100.0), pace(2, 60.0), pace(4, 59.0)]).workers == 2
    assert choose([pace(2, 60.0), pace(4, 30.0)]).workers == 4


@pytest.mark.parametrize(
    ("cores", "tried"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])],
)
def test_which_numbers_of_workers_are_tried(cores: int, tried: list[int]) -> None:
    assert workers_to_try(cores) == tried


def test_what_a_process_cannot_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SemedgeError, match=r"absent\.semedge .*No such file"):
        measure(Workload(tmp_path / "absent.semedge", None, simulated_frames((64, 64))), 0.1, [1])


def test_a_process_that_is_killed_is_an_error(tiny_file: Path) -> None:
    before = set(multiprocessing.active_children())
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            time.sleep(0.1)
            for process in set(multiprocessing.active_children()) - before:
                process.kill()
                killed.append(1)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(SemedgeError, match=r"\b1 worker\b.*\(exit status -9\)"):
        measure(Workload(tiny_file, None, simulated_frames((64, 64))), 60.0, [1])
    killer.join(10)


@pytest.mark.parametrize(
    ("arguments", "status", "values"),
    [
        (["absent.semedge"], 1, "absent.semedge "),
        (["--size", "1024"], 2, "WIDTHxHEIGHT in pixels, such as 1024x700"),
        (["--size", "1024x7"], 2, "from 32 to 16384. Received: '1024x7'"),
        (["--size", "99999x700"], 2, "Received: '99999x700'"),
        (["--seconds", "0"], 2, "--seconds"),
        (["--stride", "64"], 1, "32 px, so that every pixel is inspected. Received: 64"),
        (["--write", "absent.toml"], 1, "absent.toml "),
    ],
)
def test_wrong_arguments_are_refused(
    call: Call, arguments: list[str], status: int, values: str
) -> None:
    result = call("bench", *arguments)
    assert result.status == status
    assert values in " ".join(result.err.split())
    assert result.out == ""


def test_the_best_setting_is_written_and_watch_reads_it(
    call: Call, tmp_path: Path, images: Path, tiny_file: Path, calibration_file: Path
) -> None:
    station = tmp_path / "semedge.toml"
    text = (
        "# Line 3, above the oven.\n"
        f'[camera]\nsource = "{images}"  # a folder, for trials\n\n'
        f'[detector]\nfile = "{tiny_file}"\nworkers = 7  # a guess\n\n'
        f'[calibration]\nfile = "{calibration_file}"\n'
    )
    station.write_text(text)
    station.chmod(0o640)
    result = call("bench", tiny_file, *SHORT, "--write", station, "--json")
    assert result.status == 0, result.err
    document = json.loads(result.out)
    best = document["best"]["workers"]
    assert document["written"] == str(station)
    assert station.read_text() == text.replace("workers = 7", f"workers = {best}")
    assert stat.S_IMODE(station.stat().st_mode) == 0o640
    assert f"{station} under [detector]" in result.err
    watched = call("watch", "--station", station)
    assert watched.status == 0, watched.err
    assert "3 inspected" in watched.err


def test_a_station_of_another_detector_is_refused_before_anything_is_measured(
    call: Call, tmp_path: Path, tiny_file: Path
) -> None:
    station = tmp_path / "semedge.toml"
    station.write_text(f'[detector]\nfile = "{tiny_file}"\n')
    result = call("bench", "--write", station)
    assert result.status == 1
    assert result.err.startswith(f"Error: No camera of {station} ")
    assert station.read_text() == f'[detector]\nfile = "{tiny_file}"\n'


@pytest.mark.parametrize(
    ("text", "tables", "expected"),
    [
        ("", ["detector"], "[detector]\nworkers = 3\n"),
        ("detector.workers = 1 # one\n", ["detector"], "detector.workers = 3 # one\n"),
        ("detector = {workers = 1}\n", ["detector"], "detector = {workers = 3}\n"),
        (
            '[cameras.a]\nsource = "0"\n[detector]\nworkers = 1\n[cameras.b]\nsource = "1"\n',
            ["detector"],
            '[cameras.a]\nsource = "0"\n[detector]\nworkers = 3\n[cameras.b]\nsource = "1"\n',
        ),
        (
            '[cameras.a]\nsource = "sim:1"\ndetector = {stride_px = 32}\n',
            ["cameras.a.detector"],
            '[cameras.a]\nsource = "sim:1"\ndetector = {stride_px = 32, workers = 3}\n',
        ),
        (
            '[cameras.a]\nsource = "sim:1"\n[cameras.a.detector]\nstride_px = 32\n'
            '[cameras.b]\nsource = "sim:2"\n',
            ["cameras.a.detector", "detector"],
            '[cameras.a]\nsource = "sim:1"\n[cameras.a.detector]\nstride_px = 32\nworkers = 3\n'
            '[cameras.b]\nsource = "sim:2"\n\n[detector]\nworkers = 3\n',
        ),
        ("[detector]\r\nworkers = 1\r\n", ["detector"], "[detector]\r\nworkers = 3\r\n"),
    ],
)
def test_the_layout_of_the_file_stays(
    tmp_path: Path, text: str, tables: list[str], expected: str
) -> None:
    station = tmp_path / "semedge.toml"
    station.write_bytes(text.encode())
    bundle = read_bundle(tiny_bundle(tmp_path / "tiny.semedge"))
    with pytest.raises(SemedgeError, match=rf"{station} .*tiny\.semedge"):
        detector_tables(station, bundle)
    found = detector_tables(station, read_demo_bundle())
    assert [".".join(table) for table in found] == tables
    write_workers(station, found, 3)
    written = station.read_bytes().decode()
    assert written.replace(" ", "") == expected.replace(" ", "")
    load_station(station)


def test_a_link_to_a_station_file_stays_a_link(tmp_path: Path) -> None:
    station, link = tmp_path / "target.toml", tmp_path / "semedge.toml"
    station.write_text("[detector]\n")
    link.symlink_to(station)
    write_workers(link, [("detector",)], 2)
    assert link.is_symlink()
    assert load_station(station).detector.workers == 2

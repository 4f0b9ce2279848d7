"""Every detector trained, exported and measured alike, row by row; and the rows as Markdown.

`errors` adds the reconstruction error of normal patches, and `cells` puts the tables of ablations
into the page.

::

    python benchmarks/comparison.py run --normal DIR --images DIR --masks DIR --out ROWS
    python benchmarks/comparison.py errors ROWS
    python benchmarks/comparison.py table ROWS --page docs/research/appendix-rates.md
    python benchmarks/comparison.py cells ABLATION ... --page docs/research/stabilization.md

A row is one detector and seed, one JSON file, written when it is whole: an interrupted run goes on
from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
from table import insert

from semedge.cameras import open_camera
from semedge.core.files import write_atomically
from semedge.inference.bundle import read_bundle
from semedge.inference.detector import Detector
from semedge.inference.scaling import scale_patches

SCHEDULE = "appendix"
STEPS = 1000
"""Of each stage."""
STRIDE_PX = 16
"""Between patches; a whole-frame detector's cells lie closer and keep their own."""
TIMED_FRAMES = 5
TIMEOUT_S = 12 * 3600.0
NOT_MEASURED = "–"
OPERATING_POINT = ("precision", "recall", "f1")
COMPARED_PATCHES = 1024

Row = dict[str, Any]


def semedge(*arguments: object) -> str:
    """What a command of `semedge` prints."""
    command = [sys.executable, "-m", "semedge", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=True)
    return done.stdout


def run_rows(options: argparse.Namespace) -> None:
    """Measure every detector of the schedule that has no row yet, in the order asked for."""
    entries = {entry["name"]: entry for entry in json.loads(semedge("detectors", "--json"))}
    learning = [name for name in entries if options.schedule in entries[name]["schedules"]]
    for name in options.detectors.split(",") if options.detectors else learning:
        entry = entries[name]
        path = options.out / f"{_label(name, options)}_{options.seed}.json"
        if not path.exists():
            row = measure_row(entry, options)
            write_atomically(path, (json.dumps(row, indent=1) + "\n").encode())


def measure_row(entry: dict[str, Any], options: argparse.Namespace) -> Row:
    """Train, export and measure one detector."""
    label = _label(entry["name"], options)
    run = options.out / "runs" / f"{label}_{options.seed}"
    stages = entry["schedules"][options.schedule]
    bundle = run.with_name(f"{run.name}.semedge")
    if not (run / "weights").exists():
        resumed = ["--resume"] if (run / "run.json").exists() else []
        fresh = [
            *("--detector", entry["name"], "--images", options.normal, "--mixed-precision"),
            *("--schedule", options.schedule, "--steps", options.steps * len(stages)),
            *("--seed", options.seed),
            *(part for option in options.option for part in ("--option", option)),
        ]
        semedge("train", "--out", run, *(resumed or fresh))
    row: Row = {
        "detector": label,
        "thesis_section": entry["thesis_section"],
        "schedule": options.schedule,
        "steps": dict.fromkeys(stages, options.steps),
        "seed": options.seed,
        "train_s": _training_time_s(run),
        "machine": f"{platform.machine()}, {options.machine}",
        "measured_on": datetime.now(timezone.utc).date().isoformat(),
    }
    frames = ("--images", options.images, "--masks", options.masks, "--json")
    if entry["edge"]:
        semedge("export", run, "--out", bundle, "--quantization", "int8")
        manifest = read_bundle(bundle).manifest
        row["parity"] = {name: each.rank_correlation for name, each in manifest.parity.items()}
        stride_px = min(STRIDE_PX, manifest.input.patch_px)
        row["frame_ms"] = _frame_time_ms(bundle, options.images, stride_px)
        printed = semedge(
            *("evaluate", "--detector", bundle, *frames, "--all-scores", "--stride", stride_px)
        )
    else:
        started_s = time.monotonic()
        printed = semedge("evaluate", "--run", run, *frames, "--mixed-precision")
        row["search_s"] = time.monotonic() - started_s
    row["protocols"] = {
        name: [_measures(score) for score in protocol["scores"]]
        for name, protocol in json.loads(printed)["protocols"].items()
    }
    return row


def _label(name: str, options: argparse.Namespace) -> str:
    """What a row is called: the detector with the options that it was trained with."""
    return ",".join([name, *options.option])


def _training_time_s(run: Path) -> float | None:
    """Seconds that the steps took, summed over the stages' logs; None where a fit kept none."""
    logs = sorted((run / "logs").glob("*.csv"))
    if not logs:
        return None
    return sum(float(log.read_text().splitlines()[-1].split(",")[1]) for log in logs)


def _frame_time_ms(bundle: Path, images: Path, stride_px: int) -> float:
    """Median time of `Detector.score` over some frames."""
    times_ms = []
    with Detector(read_bundle(bundle), stride_px=stride_px) as detector:
        for frame, _ in zip(open_camera(str(images)), range(TIMED_FRAMES), strict=False):
            started_s = time.perf_counter()
            detector.score(frame)
            times_ms.append((time.perf_counter() - started_s) * 1e3)
    return median(times_ms)


def _measures(score: dict[str, Any]) -> Row:
    items = score["items"]
    kept = ("auroc", "auroc_interval", "average_precision", "aupro", "oracle", "items")
    return {"score": score["score"], **{name: items[name] for name in kept}}


def render(rows: list[Row]) -> str:
    """One line a detector and score, by detector and then by patch AUROC; means over the seeds."""
    lines = [
        "| detector | score | patch AUROC | precision | recall | F1 | pixel AUROC | AUPRO "
        "| parity |",
        "|---|---|---|---:|---:|---:|---|---:|---:|",
    ]
    by_detector: dict[str, list[Row]] = {}
    for row in rows:
        by_detector.setdefault(row["detector"], []).append(row)
    for seeds in by_detector.values():
        names = [score["score"] for score in seeds[0]["protocols"]["thesis"]]
        lines += [line for _, line in sorted(_line(seeds, name) for name in names)]
    return "\n".join([*lines, "", *_times(rows)])


def _line(seeds: list[Row], name: str) -> tuple[float, str]:
    """A score's line, and what it is sorted by."""
    patches = [_of_score(row, "thesis", name) for row in seeds]
    pixels = [each for row in seeds if (each := _of_score(row, "pixel", name))]
    points = [each["oracle"] or {} for each in patches]
    parity = seeds[0].get("parity", {}).get(name)
    cells = [
        seeds[0]["detector"],
        f"`{name}`",
        _over_seeds(patches),
        *(_mean([point.get(metric) for point in points]) for metric in OPERATING_POINT),
        _over_seeds(pixels) if pixels else NOT_MEASURED,
        _mean([each["aupro"] for each in pixels]),
        NOT_MEASURED if parity is None else f"{parity:.4f}",
    ]
    return -(patches[0]["auroc"] or 0.0), f"| {' | '.join(cells)} |"


def _of_score(row: Row, protocol: str, name: str) -> Row:
    """What a protocol measured of a score; empty where it did not."""
    scores = row["protocols"].get(protocol, ())
    return next((each for each in scores if each["score"] == name), {})


def _times(rows: list[Row]) -> list[str]:
    lines = [
        "| detector | seed | steps of each stage | training | a frame | error of normal patches |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        frame = f"{row['frame_ms']:.0f} ms" if "frame_ms" in row else NOT_MEASURED
        training = NOT_MEASURED if row["train_s"] is None else f"{row['train_s']:.0f} s"
        steps = " + ".join(map(str, row["steps"].values()))
        error = row.get("reconstruction_error")
        shown = NOT_MEASURED if error is None else f"{error:.2f}"
        cells = (row["detector"], row["seed"], steps, training, frame, shown)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _over_seeds(measures: list[Row]) -> str:
    """AUROC with its interval over frames, or as mean and spread over several seeds."""
    if len(measures) == 1:
        return _with_interval(measures[0])
    values = [each["auroc"] for each in measures]
    return f"{mean(values):.3f} ± {stdev(values):.3f}"


def _mean(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{mean(known):.3f}" if known else NOT_MEASURED


def _with_interval(measures: Row) -> str:
    interval = measures["auroc_interval"]
    span = "" if interval is None else f" ({interval[0]:.3f}–{interval[1]:.3f})"
    return f"{_three(measures['auroc'])}{span}"


def _three(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.3f}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="measure the detectors that have no row yet")
    for name in ("normal", "images", "masks", "out"):
        run.add_argument(f"--{name}", type=Path, required=True)
    run.add_argument("--detectors", help="names, separated by commas; all where absent")
    run.add_argument("--schedule", default=SCHEDULE)
    run.add_argument("--steps", type=int, default=STEPS, help="of each stage")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--option", action="append", default=[], help="as in `semedge train`")
    run.add_argument("--machine", default=platform.processor() or "unknown")
    run.set_defaults(do=run_rows)
    table = commands.add_parser("table", help="print the rows, or put them into a page")
    table.add_argument("rows", type=Path)
    table.add_argument("--page", type=Path)
    table.add_argument("--marker", default="thesis", help="name of the lines that it goes between")
    table.set_defaults(do=print_table)
    errors = commands.add_parser("errors", help="add the error of normal patches to the rows")
    errors.add_argument("rows", type=Path)
    errors.set_defaults(do=add_errors)
    cells = commands.add_parser(
        "cells", help="print the tables of ablations, or put them into a page"
    )
    cells.add_argument("ablations", type=Path, nargs="+")
    cells.add_argument("--page", type=Path)
    cells.set_defaults(do=print_cells)
    options = parser.parse_args()
    options.do(options)


def print_table(options: argparse.Namespace) -> None:
    """The rows of a folder as Markdown."""
    rows = [json.loads(path.read_text()) for path in sorted(options.rows.glob("*.json"))]
    _show(render(rows), options.page, options.marker)


def print_cells(options: argparse.Namespace) -> None:
    """The tables of some ablations, below a heading of the page."""
    texts = [(folder / "ablation.md").read_text(encoding="utf-8") for folder in options.ablations]
    _show("\n".join(text.replace("### ", "#### ") for text in texts), options.page, "ablation")


def add_errors(options: argparse.Namespace) -> None:
    """Measure how far the reconstructions of normal patches are from them, where a row lacks it."""
    for path in sorted(options.rows.glob("*.json")):
        row = json.loads(path.read_text())
        if "reconstruction_error" in row:
            continue
        row["reconstruction_error"] = _reconstruction_error(options.rows / "runs" / path.stem)
        write_atomically(path, (json.dumps(row, indent=1) + "\n").encode())


def _reconstruction_error(folder: Path) -> float | None:
    """Mean over training patches of ||x - G(E(x))||; None where a detector reconstructs none."""
    from semedge_trainer.detectors.base import Reconstructing
    from semedge_trainer.training.run import Run

    run = Run.open(folder)
    detector, networks = run.load()
    if not isinstance(detector, Reconstructing):
        return None
    patches = scale_patches(run.patches()[:COMPARED_PATCHES], run.record.scaling)
    missed = patches - np.asarray(detector.reconstruct(networks, patches))
    return float(np.linalg.norm(missed.reshape(len(patches), -1), axis=1).mean())


def _show(text: str, page: Path | None, marker: str) -> None:
    print(text)
    if page:
        content = insert(page.read_text(encoding="utf-8"), text.rstrip(), marker)
        write_atomically(page, content.encode())


if __name__ == "__main__":
    main()

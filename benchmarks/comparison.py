"""Every detector trained, exported and measured alike, row by row; and the rows as Markdown.

::

    python benchmarks/comparison.py run --normal DIR --images DIR --masks DIR --out ROWS
    python benchmarks/comparison.py table ROWS --page docs/results.md

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
from statistics import median
from typing import Any

from table import insert

from semedge.cameras import open_camera
from semedge.core.files import write_atomically
from semedge.inference.bundle import read_bundle
from semedge.inference.detector import Detector

SCHEDULE = "appendix"
STEPS = 1000
"""Of each stage."""
STRIDE_PX = 16
"""Between patches; a whole-frame detector's cells lie closer and keep their own."""
TIMED_FRAMES = 5
TIMEOUT_S = 12 * 3600.0
NOT_MEASURED = "–"

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
        path = options.out / f"{name}_{options.seed}.json"
        if not path.exists():
            row = measure_row(entry, options)
            write_atomically(path, (json.dumps(row, indent=1) + "\n").encode())


def measure_row(entry: dict[str, Any], options: argparse.Namespace) -> Row:
    """Train, export and measure one detector."""
    run = options.out / "runs" / f"{entry['name']}_{options.seed}"
    stages = entry["schedules"][options.schedule]
    bundle = run.with_suffix(".semedge")
    if not (run / "weights").exists():
        resumed = ["--resume"] if (run / "run.json").exists() else []
        fresh = [
            *("--detector", entry["name"], "--images", options.normal, "--mixed-precision"),
            *("--schedule", options.schedule, "--steps", options.steps * len(stages)),
            *("--seed", options.seed),
        ]
        semedge("train", "--out", run, *(resumed or fresh))
    row: Row = {
        "detector": entry["name"],
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
        printed = semedge("evaluate", "--run", run, *frames)
        row["search_s"] = time.monotonic() - started_s
    row["protocols"] = {
        name: [_measures(score) for score in protocol["scores"]]
        for name, protocol in json.loads(printed)["protocols"].items()
    }
    return row


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
    """One line a detector and score, by detector and then by patch AUROC."""
    lines = [
        "| detector | score | patch AUROC | precision | recall | F1 | pixel AUROC | AUPRO "
        "| parity |",
        "|---|---|---|---:|---:|---:|---|---:|---:|",
    ]
    for row in rows:
        pixels = {each["score"]: each for each in row["protocols"].get("pixel", ())}
        scores = row["protocols"]["thesis"]
        for each in sorted(scores, key=lambda each: -(each["auroc"] or 0.0)):
            lines.append(_line(row, each, pixels.get(each["score"], {})))
    return "\n".join([*lines, "", *_times(rows)])


def _line(row: Row, patches: Row, pixels: Row) -> str:
    point = patches["oracle"] or {}
    parity = row.get("parity", {}).get(patches["score"])
    cells = [
        row["detector"],
        f"`{patches['score']}`",
        _with_interval(patches),
        *(_three(point.get(name)) for name in ("precision", "recall", "f1")),
        _with_interval(pixels) if pixels else NOT_MEASURED,
        _three(pixels.get("aupro")),
        NOT_MEASURED if parity is None else f"{parity:.4f}",
    ]
    return f"| {' | '.join(cells)} |"


def _times(rows: list[Row]) -> list[str]:
    lines = [
        "| detector | thesis | steps | training | a frame |",
        "|---|---|---:|---:|---:|",
    ]
    for row in rows:
        frame = f"{row['frame_ms']:.0f} ms" if "frame_ms" in row else NOT_MEASURED
        training = NOT_MEASURED if row["train_s"] is None else f"{row['train_s']:.0f} s"
        steps = " + ".join(map(str, row["steps"].values()))
        cells = (row["detector"], row["thesis_section"], steps, training, frame)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


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
    run.add_argument("--machine", default=platform.processor() or "unknown")
    run.set_defaults(do=run_rows)
    table = commands.add_parser("table", help="print the rows, or put them into a page")
    table.add_argument("rows", type=Path)
    table.add_argument("--page", type=Path)
    table.set_defaults(do=print_table)
    options = parser.parse_args()
    options.do(options)


def print_table(options: argparse.Namespace) -> None:
    """The rows of a folder as Markdown."""
    rows = [json.loads(path.read_text()) for path in sorted(options.rows.glob("*.json"))]
    text = render(rows)
    print(text)
    if options.page:
        page = insert(options.page.read_text(encoding="utf-8"), text)
        write_atomically(options.page, page.encode())


if __name__ == "__main__":
    main()

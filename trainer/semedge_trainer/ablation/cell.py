"""One cell of the ablation, in its own process: `python -m semedge_trainer.ablation.cell`.

A process for each keeps what TensorFlow holds on to out of the next, and lets several run beside
one another, here or on the machines of a cluster.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.core.view import FrameView, ViewSettings
from semedge_trainer.ablation.measure import measure_run
from semedge_trainer.ablation.plan import Cell, CellJob, CellResult, chosen_frames
from semedge_trainer.evaluation.masks import match_masks
from semedge_trainer.extra import need_tensorflow

if TYPE_CHECKING:
    from semedge_trainer.training.frames import TrainingFrames
    from semedge_trainer.training.run import Run


def cell_command(job_path: Path, result_path: Path) -> list[str]:
    """The command that computes the job in a file and writes its cell to another."""
    return [sys.executable, "-m", "semedge_trainer.ablation.cell", str(job_path), str(result_path)]


def cell_environment(threads: int, gpu: str | None = None) -> dict[str, str]:
    """Environment of such a process: TensorFlow keeps to its share of the cores, and to one GPU.

    Where `gpu` is None, the process sees the GPUs that this one may see.
    """
    chosen = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
    return {
        **os.environ,
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": "1",
        **chosen,
    }


def visible_gpus() -> list[str]:
    """The GPUs that this process may see, as `CUDA_VISIBLE_DEVICES` names them.

    Counting them starts none and takes no memory of theirs.
    """
    import tensorflow as tf

    count = len(tf.config.list_physical_devices("GPU"))
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(number) for number in range(count)] if listed is None else listed.split(",")
    return names[:count]


def last_line(log_path: Path) -> str:
    """What a process said last: why it failed."""
    lines = log_path.read_text(errors="replace").split("\n")
    said = [line.removeprefix("Error: ") for line in lines if line.strip()]
    return said[-1] if said else "the process said nothing"


def compute_cell(job: CellJob) -> Cell:
    """Train, export and measure; a training that was interrupted goes on."""
    need_tensorflow()
    from semedge_trainer.training.devices import choose_strategy
    from semedge_trainer.training.loop import TrainingDivergedError
    from semedge_trainer.training.run import Run, package_versions
    from semedge_trainer.training.train import (
        TrainingRequest,
        finish_run,
        resume_run,
        start_run,
    )

    settings, folder = job.settings, Path(job.run_folder)
    started = time.monotonic()
    if (folder / "run.json").exists():
        run, frames = resume_run(folder, job.images)
    else:
        request = TrainingRequest(
            settings.detector,
            job.images,
            settings.options,
            settings.schedule,
            settings.steps,
            settings.seed,
            view=ViewSettings(crop_bottom_px=settings.crop_bottom_px),
            mixed_precision=settings.mixed_precision,
        )
        run, frames = start_run(folder, request)
    figures: dict[str, object] = {}
    trained = started
    try:
        if not run.finished:
            finish_run(run, frames, choose_strategy(None))
        trained = time.monotonic()
        figures = _figures(Run.open(folder), job, frames)
    except TrainingDivergedError as error:
        trained = time.monotonic()
        figures = {"diverged": str(error)}
    result = CellResult.model_validate(
        {
            **figures,
            "train_s": round(trained - started, 1),
            "evaluate_s": round(time.monotonic() - trained, 1),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {job.threads} threads",
            "packages": package_versions(),
            "created_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
    )
    return Cell(settings=settings, result=result)


def _figures(run: Run, job: CellJob, normal: TrainingFrames) -> dict[str, object]:
    settings = job.settings
    view = FrameView(ViewSettings(crop_bottom_px=settings.crop_bottom_px))
    masked = match_masks(Path(job.test_images), Path(job.masks), view)
    frames = chosen_frames(masked, settings.test_frames)
    measured = measure_run(run, settings, frames, normal.images, job.threads)
    metrics = measured.metrics
    oracle, calibrated = metrics.oracle, metrics.calibrated
    return {
        "score": measured.score,
        "patches": metrics.count,
        "anomalous": metrics.anomalous,
        "auroc": metrics.auroc,
        "auroc_interval": metrics.auroc_interval,
        "average_precision": metrics.average_precision,
        "threshold": oracle and oracle.threshold,
        "precision": oracle and oracle.precision,
        "recall": oracle and oracle.recall,
        "f1": oracle and oracle.f1,
        "calibrated_f1": calibrated and calibrated.f1,
    }


def main(job_path: str, result_path: str) -> int:
    """Compute the cell of a job file; what goes wrong is the last line on stderr."""
    try:
        job = CellJob.model_validate_json(Path(job_path).read_bytes())
        content = compute_cell(job).model_dump_json(indent=1)
        write_atomically(Path(result_path), f"{content}\n".encode())
    except SemedgeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

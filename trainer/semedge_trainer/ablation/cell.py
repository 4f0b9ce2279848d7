"""One cell of the ablation, in its own process: `python -m semedge_trainer.ablation.cell`.

A process for each keeps what TensorFlow holds on to out of the next, and lets several run beside
one another, here or on the machines of a cluster.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.core.frame import GrayImage
from semedge.core.view import FrameView, ViewSettings
from semedge.inference.detector import Detector
from semedge_trainer.ablation.plan import Cell, CellJob, CellResult, chosen_frames
from semedge_trainer.evaluation.masks import match_masks
from semedge_trainer.evaluation.protocols import ThesisProtocol
from semedge_trainer.evaluation.results import evaluate_frames
from semedge_trainer.evaluation.scored_frames import PatchSubset
from semedge_trainer.evaluation.scorer import AnyScorer, Scores
from semedge_trainer.extra import need_tensorflow

if TYPE_CHECKING:
    from semedge_trainer.training.frames import TrainingFrames
    from semedge_trainer.training.run import Run

SAMPLE_SEED = 0
"""Seed of the sample of patches and of the search: the same for every cell."""
FALSE_ALARM_SHARE = 0.01
"""Share of the patches of normal frames above the calibrated threshold."""


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
    """Figures of the default score; every cell is measured on the same patches."""
    settings = job.settings
    view = FrameView(ViewSettings(crop_bottom_px=settings.crop_bottom_px))
    masked = match_masks(Path(job.test_images), Path(job.masks), view)
    frames = chosen_frames(masked, settings.test_frames)
    subset = PatchSubset.about(settings.patches, len(frames), SAMPLE_SEED)
    thresholds: dict[str, float] = {}
    with _scorer(run, job) as scorer:
        if settings.search_steps is None:
            thresholds = normal_thresholds(scorer, normal.images, subset)
        results = evaluate_frames(scorer, frames, [ThesisProtocol()], thresholds, subset=subset)
    row = results["thesis"].rows[0]
    metrics, oracle, calibrated = row.samples, row.samples.oracle, row.samples.calibrated
    return {
        "score": row.score,
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


def normal_thresholds(
    scorer: AnyScorer, images: Sequence[GrayImage], subset: PatchSubset | None
) -> dict[str, float]:
    """The threshold of each score that 1 % of the normal frames' patches lie above.

    Those frames are the ones that were trained on: the thesis has no others.
    """
    scores: dict[str, list[Scores]] = {name: [] for name in scorer.score_names}
    protocol = ThesisProtocol()
    for number, image in enumerate(images):
        height, width = image.shape
        grid = protocol.grid((height, width), protocol.patch_px(scorer))
        chosen = np.arange(len(grid)) if subset is None else subset.choose(number, len(grid))
        for name, values in scorer.score_chosen(image, grid, chosen).items():
            scores[name].append(values)
    return {
        name: float(np.quantile(np.concatenate(values), 1 - FALSE_ALARM_SHARE, method="higher"))
        for name, values in scores.items()
    }


def _scorer(run: Run, job: CellJob) -> AbstractContextManager[AnyScorer]:
    settings = job.settings
    if settings.search_steps is not None:
        from semedge_trainer.evaluation.latent_search import SearchingScorer

        steps, mixed = settings.search_steps, settings.mixed_precision
        return nullcontext(SearchingScorer(run, steps, SAMPLE_SEED, mixed_precision=mixed))
    if settings.quantization is None:
        from semedge_trainer.evaluation.network_scorer import NetworkScorer

        return nullcontext(NetworkScorer(run))
    from semedge_trainer.export.export import export_run
    from semedge_trainer.export.exporter import ExportRequest

    path = run.folder / "detector.semedge"
    request = ExportRequest(settings.quantization, only_score=True)
    export_run(run, path, request)
    return Detector.load(path, workers=job.threads)


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

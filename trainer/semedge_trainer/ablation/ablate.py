"""An ablation from its request to its tables; what is finished stays, whatever happens."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from semedge.core.files import locked, write_atomically
from semedge_trainer.ablation.cell import visible_gpus
from semedge_trainer.ablation.cluster import pack_frames, run_on_cluster
from semedge_trainer.ablation.local import CellEnd, run_locally
from semedge_trainer.ablation.plan import (
    SWITCHES,
    AblationRequest,
    Cell,
    CellJob,
    CellResult,
    CellSettings,
    cell_path,
    chosen_frames,
    plan_cells,
    read_cells,
    stabilizations,
)
from semedge_trainer.ablation.tables import as_csv, as_latex, as_markdown
from semedge_trainer.detectors import make_detector
from semedge_trainer.detectors.base import SearchedDetector
from semedge_trainer.evaluation.masks import MaskedFrame, match_masks

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Execution:
    """Where the cells are computed.

    Attributes
    ----------
    folder
        The ablation's: `cells/`, `logs/`, the tables, and the trainings under way.
    processes
        Cells at a time on this machine.
    threads
        Cores of each cell; this machine's divided among the processes where None.
    cluster
        Address of a Ray cluster that takes the cells instead, or None.
    timeout_s
        A cell that takes longer is ended.
    keep_runs
        Whether the run folder of a finished cell stays.
    """

    folder: Path
    processes: int = 1
    threads: int | None = None
    cluster: str | None = None
    timeout_s: float = 24 * 3600.0
    keep_runs: bool = False


@dataclass(frozen=True)
class Ablation:
    """What came of it: the results that are there, in the order of the tables, and the failures."""

    results: dict[CellSettings, CellResult]
    failures: dict[str, str]
    cells: int


def ablate(request: AblationRequest, execution: Execution) -> Ablation:
    """Compute the cells that are missing, and write the tables.

    Raises `SemedgeError` where a detector has not the three switches, or the folder holds cells of
    other settings. A cell that fails is named and leaves its place in the tables empty; the others
    go on.
    """
    searched = _check_detectors(request)
    frames = match_masks(request.test_images, request.masks)
    cells = plan_cells(request, frames, searched)
    folder = execution.folder
    with locked(
        folder / "ablation", f"Another `semedge ablate` works on {folder}; wait for its end."
    ):
        results = read_cells(folder, cells)
        missing = [settings for settings in cells if settings not in results]
        logger.info(f"{len(results)} of {len(cells)} cells are there, {len(missing)} to compute.")
        failures: dict[str, str] = {}
        done = len(results)
        _write_tables(list(request.seeds), cells, results, folder)
        with closing(_compute(missing, request, execution, frames)) as ends:
            for end in ends:
                done += 1
                name = f"[{done}/{len(cells)}] {end.settings.name}"
                if end.content is None:
                    failures[end.settings.name] = end.reason
                    logger.info(f"{name} failed: {end.reason}")
                    continue
                results[end.settings] = _keep(end.settings, end.content, execution)
                _write_tables(list(request.seeds), cells, results, folder)
                logger.info(f"{name}: {_summary(results[end.settings])}")
    ordered = {settings: results[settings] for settings in cells if settings in results}
    return Ablation(ordered, failures, len(cells))


def _check_detectors(request: AblationRequest) -> list[str]:
    """Names of the detectors whose scores are searched for."""
    searched = []
    for name in request.seeds:
        settings = stabilizations(frozenset(SWITCHES), request.label_flipping)
        detector = make_detector(name, settings, request.schedule, request.steps)
        if isinstance(detector, SearchedDetector):
            searched.append(name)
    return searched


def _compute(
    missing: Sequence[CellSettings],
    request: AblationRequest,
    execution: Execution,
    frames: Sequence[MaskedFrame],
) -> Generator[CellEnd, None, None]:
    cores = len(os.sched_getaffinity(0))
    at_once = 1 if execution.cluster else execution.processes
    threads = execution.threads or (1 if execution.cluster else max(1, cores // at_once))
    jobs = [
        CellJob(
            settings=settings,
            images=request.images,
            test_images=str(request.test_images),
            masks=str(request.masks),
            run_folder=str(_run_folder(execution.folder, settings)),
            threads=threads,
        )
        for settings in missing
    ]
    if execution.cluster is None:
        return run_locally(
            jobs, execution.folder, execution.processes, execution.timeout_s, visible_gpus()
        )
    packed = pack_frames(request.images, chosen_frames(frames, request.test_frames))
    return run_on_cluster(jobs, execution.cluster, packed, execution.timeout_s)


def _run_folder(folder: Path, settings: CellSettings) -> Path:
    return folder / "runs" / f"{settings.name}_{settings.digest}"


def _keep(settings: CellSettings, content: bytes, execution: Execution) -> CellResult:
    """Write the cell's file; its run folder is not needed any more."""
    write_atomically(cell_path(execution.folder, settings), content)
    run_folder = _run_folder(execution.folder, settings)
    shutil.rmtree(run_folder.with_name(f"{run_folder.name}.job"), ignore_errors=True)
    if not execution.keep_runs:
        shutil.rmtree(run_folder, ignore_errors=True)
    return Cell.model_validate_json(content).result


def _write_tables(
    detectors: Sequence[str],
    cells: Sequence[CellSettings],
    results: dict[CellSettings, CellResult],
    folder: Path,
) -> None:
    ordered = {settings: results[settings] for settings in cells if settings in results}
    tables = {
        "ablation.md": as_markdown(detectors, ordered),
        "ablation.csv": as_csv(ordered),
        "ablation.tex": as_latex(detectors, ordered),
    }
    for name, text in tables.items():
        write_atomically(folder / name, text.encode())


def _summary(result: CellResult) -> str:
    if result.diverged is not None:
        return f"diverged ({result.diverged})"
    auroc = "undefined" if result.auroc is None else f"{result.auroc:.3f}"
    return f"AUROC {auroc}; {result.train_s:.0f} s to train, {result.evaluate_s:.0f} s to measure."

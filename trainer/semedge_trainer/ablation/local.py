"""Cells of an ablation on this machine, several processes at a time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from semedge.core.files import write_atomically
from semedge_trainer.ablation.cell import cell_command, cell_environment, last_line
from semedge_trainer.ablation.plan import CellJob, CellSettings

POLL_S = 0.2
TERMINATION_S = 20


@dataclass(frozen=True)
class CellEnd:
    """How a cell ended: its file's content, or why there is none."""

    settings: CellSettings
    content: bytes | None
    reason: str = ""


@dataclass(frozen=True)
class _Running:
    job: CellJob
    process: subprocess.Popen[bytes]
    result_path: Path
    log_path: Path
    deadline: float
    gpu: str | None


def run_locally(
    jobs: Sequence[CellJob],
    folder: Path,
    processes: int,
    timeout_s: float,
    gpus: Sequence[str] = (),
) -> Generator[CellEnd, None, None]:
    """Compute the jobs in `processes` processes at a time; gives each cell as it ends.

    What a process says goes to `folder/logs`. When the caller stops, so do the processes.

    Parameters
    ----------
    jobs
        What to compute, in order.
    folder
        The ablation's.
    processes
        How many run beside one another.
    timeout_s
        A cell that takes longer is ended.
    gpus
        GPUs of this machine; each process sees the one with the fewest others on it.
    """
    waiting = list(reversed(jobs))
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                gpu = _least_busy(gpus, running)
                running.append(_start(waiting.pop(), folder, timeout_s, gpu))
            time.sleep(POLL_S)
            for each in list(running):
                end = _ended(each)
                if end is not None:
                    running.remove(each)
                    yield end
    finally:
        for each in running:
            _stop(each.process)


def _least_busy(gpus: Sequence[str], running: Sequence[_Running]) -> str | None:
    used = [each.gpu for each in running]
    return min(gpus, key=used.count, default=None)


def _start(job: CellJob, folder: Path, timeout_s: float, gpu: str | None) -> _Running:
    work = Path(f"{job.run_folder}.job")
    job_path, result_path = work / "job.json", work / "cell.json"
    log_path = folder / "logs" / f"{job.settings.name}.log"
    write_atomically(job_path, job.model_dump_json().encode())
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            cell_command(job_path, result_path),
            env=cell_environment(job.threads, gpu),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return _Running(job, process, result_path, log_path, time.monotonic() + timeout_s, gpu)


def _ended(running: _Running) -> CellEnd | None:
    """How the cell ended, or None where it is still being computed."""
    settings = running.job.settings
    status = running.process.poll()
    if status is None:
        if time.monotonic() < running.deadline:
            return None
        _stop(running.process)
        return CellEnd(settings, None, "it took longer than --timeout-s allows")
    if status == 0:
        return CellEnd(settings, running.result_path.read_bytes())
    return CellEnd(settings, None, last_line(running.log_path))


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(TERMINATION_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

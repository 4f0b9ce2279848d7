"""Cells of an ablation on the machines of a Ray cluster (extra: cluster).

The frames travel with the cells, so that the machines need no common folder; each needs semedge
with the extras `train` and `cluster`, in the same version. A cell whose machine is lost is computed
again from its start.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from semedge.core.errors import SemedgeError
from semedge.core.images import list_images
from semedge.core.ray_cluster import joined_cluster
from semedge.core.version import __version__
from semedge_trainer.ablation.cell import cell_command, cell_environment, last_line
from semedge_trainer.ablation.local import CellEnd
from semedge_trainer.ablation.plan import CellJob, CellSettings
from semedge_trainer.evaluation.masks import MaskedFrame

Packed = Mapping[str, Mapping[str, bytes]]
"""Files by folder, `normal`, `test` and `masks`, and by name."""

WAIT_S = 5.0
ATTEMPTS = 3


def pack_frames(normal: str, frames: Sequence[MaskedFrame]) -> Packed:
    """The files that a cell needs, renamed so that their order and their masks are kept."""
    trained_on = [] if normal.startswith("sim:") else list_images(normal)
    masks = [frame.mask_path for frame in frames if frame.mask_path is not None]
    return {
        "normal": _numbered(trained_on, ""),
        "test": _numbered([frame.image_path for frame in frames], ""),
        "masks": _numbered(masks, "_mask"),
    }


def run_on_cluster(
    jobs: Sequence[CellJob], address: str, packed: Packed, timeout_s: float
) -> Generator[CellEnd, None, None]:
    """Compute the jobs on the cluster at `address`; gives each cell as it ends.

    Where the cluster has GPUs, Ray gives each cell one of its own, and shows it no other.
    When the caller stops, the cells under way are cancelled.
    """
    if not jobs:
        return
    with joined_cluster(address) as ray:
        pending: dict[object, CellSettings] = {}
        try:
            files = ray.put(packed)
            gpus = 1 if ray.cluster_resources().get("GPU") else 0
            for job in jobs:
                compute = ray.remote(num_cpus=job.threads, num_gpus=gpus, max_retries=ATTEMPTS - 1)(
                    compute_packed
                )
                reference = compute.remote(job.model_dump_json(), files, timeout_s, __version__)
                pending[reference] = job.settings
            deadline = time.monotonic() + timeout_s * len(jobs) * ATTEMPTS
            while pending:
                ended, _ = ray.wait(list(pending), num_returns=1, timeout=WAIT_S)
                for reference in ended:
                    yield _end_of(ray, reference, pending.pop(reference))
                if time.monotonic() > deadline:
                    raise SemedgeError(
                        f"{len(pending)} cells have no result after the time that --timeout-s "
                        "gives them all; look at the cluster with `ray status`."
                    )
        finally:
            for reference in pending:
                ray.cancel(reference)


def compute_packed(
    job_json: str, packed: Packed, timeout_s: float, version: str
) -> tuple[bytes | None, str]:
    """Compute a cell on this machine of a cluster: its file's content, or None and the reason."""
    if version != __version__:
        return None, f"a machine of the cluster has semedge {__version__}, not {version}"
    with tempfile.TemporaryDirectory(prefix="semedge-cell-") as name:
        folder = Path(name)
        job = _unpack(CellJob.model_validate_json(job_json), packed, folder)
        job_path, result_path, log_path = (folder / end for end in ("job.json", "cell", "log"))
        job_path.write_text(job.model_dump_json())
        with log_path.open("wb") as log:
            try:
                status = subprocess.run(
                    cell_command(job_path, result_path),
                    env=cell_environment(job.threads),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    timeout=timeout_s,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                return None, "it took longer than --timeout-s allows"
        return (result_path.read_bytes(), "") if status == 0 else (None, last_line(log_path))


def _unpack(job: CellJob, packed: Packed, folder: Path) -> CellJob:
    for kind, files in packed.items():
        (folder / kind).mkdir()
        for name, content in files.items():
            (folder / kind / name).write_bytes(content)
    paths = {
        "test_images": str(folder / "test"),
        "masks": str(folder / "masks"),
        "run_folder": str(folder / "run"),
    }
    if packed["normal"]:
        paths["images"] = str(folder / "normal")
    return job.model_copy(update=paths)


def _end_of(ray: object, reference: object, settings: CellSettings) -> CellEnd:
    try:
        content, reason = ray.get(reference)  # type: ignore[attr-defined]
    except Exception as error:  # whatever a lost machine or a worker's crash raises
        return CellEnd(settings, None, f"the cluster lost it ({type(error).__name__})")
    return CellEnd(settings, content, reason)


def _numbered(paths: Sequence[Path], ending: str) -> dict[str, bytes]:
    return {
        f"{number:06d}{ending}{path.suffix}": path.read_bytes() for number, path in enumerate(paths)
    }

"""A finished run folder to a detector bundle."""

from __future__ import annotations

from pathlib import Path

from semedge.core.errors import SemedgeError
from semedge.inference.manifest import Manifest
from semedge_trainer.detectors.base import SearchedDetector
from semedge_trainer.detectors.whole_frame import FrameDetector
from semedge_trainer.export.exporter import Exporter, ExportRequest
from semedge_trainer.export.frame_exporter import FrameExporter
from semedge_trainer.export.patch_exporter import PatchExporter
from semedge_trainer.training.run import Run


def export_run(run: Run, path: Path, request: ExportRequest) -> Manifest:
    """Convert the networks of a run, compare them with the trained ones, write the bundle.

    Parameters
    ----------
    run
        A finished training.
    path
        Where the bundle goes.
    request
        What it shall hold.
    """
    return _exporter(run, request).write(path)


def _exporter(run: Run, request: ExportRequest) -> Exporter:
    detector, networks = run.load()
    if isinstance(detector, SearchedDetector):
        raise SemedgeError(detector.edge_refusal)
    if isinstance(detector, FrameDetector):
        return FrameExporter(run, detector, networks, request)
    if request.tile_shape is not None:
        height, width = request.tile_shape
        raise SemedgeError(
            f"{detector.name} scores patches and has no tiles. Received: --tile {width}x{height}; "
            "leave it out."
        )
    return PatchExporter(run, detector, networks, request)

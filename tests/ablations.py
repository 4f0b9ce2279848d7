"""An ablation's folder in which all but one cell are finished, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from semedge.cameras.simulation import SimulatedLine
from semedge_trainer.ablation.plan import (
    AblationRequest,
    Cell,
    CellResult,
    CellSettings,
    cell_path,
    plan_cells,
)
from semedge_trainer.evaluation.masks import match_masks

SHAPE = (64, 96)
MISSING = "IN + SL"


def make_frames(folder: Path) -> AblationRequest:
    """Write two normal frames and two with a defect; a short ablation of AnoGAN on them."""
    for name in ("normal", "test", "masks"):
        (folder / name).mkdir()
    for seed, rate, kind in ((8, 0.0, "normal"), (9, 1.0, "test")):
        line = SimulatedLine(seed, shape=SHAPE, defect_rate=rate)
        for number in range(2):
            frame = line.frame(number)
            cv2.imwrite(str(folder / kind / f"{number}.png"), frame.image)
            if kind == "test":
                mask = frame.mask.astype(np.uint8) * 255
                cv2.imwrite(str(folder / "masks" / f"{number}.png"), mask)
    return AblationRequest(
        seeds={"anogan": [0]},
        schedule="fast",
        steps=1,
        quantization="int8",
        images=str(folder / "normal"),
        test_images=folder / "test",
        masks=folder / "masks",
        test_frames=None,
        patches=None,
        anogan_patches=8,
        anogan_steps=1,
    )


def arguments(folder: Path) -> list[object]:
    """The same request for the command line; the tables go to `folder/out`."""
    return [
        *("ablate", "--images", folder / "normal", "--test-images", folder / "test"),
        *("--masks", folder / "masks", "--out", folder / "out", "--detectors", "anogan"),
        *("--steps", 1, "--anogan-patches", 8, "--anogan-steps", 1),
    ]


def planned(request: AblationRequest) -> list[CellSettings]:
    """The cells of the request."""
    return plan_cells(request, match_masks(request.test_images, request.masks), ["anogan"])


def a_result(**figures: Any) -> CellResult:
    """A result with some figures."""
    return CellResult(
        **{
            "score": "inversion",
            "patches": 8,
            "train_s": 1.0,
            "evaluate_s": 1.0,
            "machine": "none",
            "packages": {},
            "created_at": "2026-11-24T00:00:00Z",
            **figures,
        }
    )


def finish(out: Path, cells: Sequence[CellSettings], missing: str | None = MISSING) -> None:
    """Write the files of all cells but those of the subset `missing`."""
    for number, settings in enumerate(cells):
        if settings.subset != missing:
            path = cell_path(out, settings)
            path.parent.mkdir(parents=True, exist_ok=True)
            result = a_result(auroc=0.5 + number / 100, precision=0.25, recall=0.5, f1=0.3)
            result = result.model_copy(update={"calibrated_f1": 0.2})
            path.write_text(Cell(settings=settings, result=result).model_dump_json())

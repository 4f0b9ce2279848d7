"""Loading of setups: reads and checks the detector, calibration and recipe of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from semedge.decision.calibration_file import load_calibration
from semedge.inference.detector import Detector
from semedge.station.camera_plan import CameraPlan
from semedge.station.camera_setup import CameraSetup, StationCamera
from semedge.station.recipe import read_recipe


def load_cameras(plans: Sequence[CameraPlan]) -> list[StationCamera]:
    """Load all setups, or none; `SemedgeError` where the files of one do not match."""
    cameras: list[StationCamera] = []
    try:
        for plan in plans:
            cameras.append(StationCamera(plan.name, load_setup(plan)))
    except BaseException:
        for camera in cameras:
            camera.setup.detector.close()
        raise
    return cameras


def load_setup(plan: CameraPlan) -> CameraSetup:
    """The setup of a plan; the caller closes its detector."""
    return _load_files(plan) if plan.recipe is None else load_recipe(plan, plan.recipe)


def load_recipe(plan: CameraPlan, path: Path) -> CameraSetup:
    """The setup of this camera by a recipe; the caller closes its detector."""
    recipe = read_recipe(path)
    detector, calibration = recipe.load(plan.detector.workers)
    decision = recipe.manifest.decision
    return CameraSetup(
        plan.camera.set_by(recipe.manifest.camera),
        detector,
        calibration,
        decision.levels(calibration.threshold),
        decision,
        plan.health,
        plan.drift,
        recipe.identity,
    )


def _load_files(plan: CameraPlan) -> CameraSetup:
    assert plan.calibration is not None
    detector = Detector.load(
        plan.detector.file, stride_px=plan.detector.stride_px, workers=plan.detector.workers
    )
    try:
        calibration = load_calibration(plan.calibration, detector)
        return CameraSetup(
            plan.camera,
            detector,
            calibration,
            plan.decision.levels(calibration.threshold),
            plan.decision,
            plan.health,
            plan.drift,
        )
    except BaseException:
        detector.close()
        raise

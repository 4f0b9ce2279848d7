"""Loading of setups: reads and checks the detector, calibration and recipe of a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from semedge.core.frame import GrayImage
from semedge.core.signature import verify_signature
from semedge.decision.calibration_file import load_calibration
from semedge.inference.bundle import read_bundle
from semedge.inference.detector import Detector
from semedge.inference.graph_check import check_graphs
from semedge.station.camera_plan import CameraPlan
from semedge.station.camera_setup import CameraSetup, SourceChoice, StationCamera
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


def load_recipe(
    plan: CameraPlan,
    path: Path,
    last_image: Callable[[SourceChoice], GrayImage | None] = lambda camera: None,
) -> CameraSetup:
    """The setup of this camera by a recipe; the caller closes its detector.

    `last_image` returns the last frame as a camera with other settings would crop it.
    """
    recipe = read_recipe(path)
    if plan.public_key is not None:
        verify_signature(path, recipe.sha256, plan.public_key)
    camera = plan.camera.set_by(recipe.manifest.camera)
    detector, calibration = recipe.load(plan.detector.workers, last_image(camera))
    decision = recipe.manifest.decision
    return CameraSetup(
        camera.with_bits(calibration.bits, detector.bits),
        detector,
        calibration,
        decision.levels(calibration.threshold),
        decision,
        plan.health,
        plan.drift,
        recipe.identity,
    )


def _load_detector(plan: CameraPlan) -> Detector:
    """The detector of a plan, whose graphs a child process has run; the demo's need not be."""
    section = plan.detector
    if section.file is None:
        return Detector.load(None, stride_px=section.stride_px, workers=section.workers)
    bundle = read_bundle(section.file)
    if plan.public_key is not None:
        verify_signature(section.file, bundle.sha256, plan.public_key)
    check_graphs(bundle, stride_px=section.stride_px)
    return Detector(bundle, stride_px=section.stride_px, workers=section.workers)


def _load_files(plan: CameraPlan) -> CameraSetup:
    assert plan.calibration is not None
    detector = _load_detector(plan)
    try:
        calibration = load_calibration(plan.calibration, detector)
        return CameraSetup(
            plan.camera.with_bits(calibration.bits, detector.bits),
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

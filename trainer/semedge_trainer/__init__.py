"""semedge's trainer: the detectors of the thesis, their training, quantization and evaluation.

`docs/reference/python.md` shows what Python programs do with it. The names of `__all__` are public,
and everything else is private. TensorFlow is loaded and set up when a call needs it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

# Before any module of this package can import TensorFlow, which reads both once. Without oneDNN,
# transposed convolutions of a few pixels take up to 35 times longer, and TensorFlow leaves it off
# on some processors.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Importing a folder gives the package an attribute of its name, once; `export` below replaces it.
import semedge_trainer.export  # noqa: F401
from semedge_trainer.commands.detector_names import BEST

if TYPE_CHECKING:
    from semedge.inference.manifest import Quantization
    from semedge.inference.scaling import Scaling
    from semedge_trainer.detectors.base import TrainableDetector
    from semedge_trainer.evaluation.results import Evaluation

__all__ = ["TrainableDetector", "evaluate", "export", "train"]


def train(
    images: str | Path,
    run: str | Path,
    *,
    detector: str = BEST,
    options: Mapping[str, object] | None = None,
    schedule: str = "fast",
    steps: int | None = None,
    seed: int = 0,
    scaling: Scaling = "range",
    mixed_precision: bool = False,
    crop_bottom_px: int = 0,
    bits: int | None = None,
    devices: Sequence[str] | None = None,
    resume: bool = False,
    jit_compile: bool | None = None,
    deterministic: bool = False,
    validation_share: float = 0.0,
    patience: int = 5,
) -> Path:
    """Train a detector on normal frames, as `semedge train` does; the run folder.

    Parameters
    ----------
    images
        Normal frames: a folder, a glob or a file.
    run
        The run folder, which is created.
    detector
        Name of the detector, one that `semedge detectors` lists.
    options
        Variants of the detector by their names.
    schedule
        `fast`: minutes on a CPU; `appendix`: the rates and 50 epochs of the thesis's appendix A;
        `author`: the epochs of the author's code, where they differ.
    steps
        Shorten the schedule to this many steps in all.
    seed
        Seed of weights, patches and noise.
    scaling
        `range` keeps brightness; `patch` standardizes each patch.
    mixed_precision
        Compute in bfloat16 where it is safe, or in float16 on a GPU that has no bfloat16.
    crop_bottom_px
        Rows that are cut off at the lower edge of each frame.
    bits
        Bits of a pixel, where 16-bit frames have fewer and do not say so.
    devices
        Such as `gpu:0`, or `all`; the first GPU where None, or the CPU where there is none.
    resume
        Continue the training in `run`, on the same frames.
    jit_compile
        Whether XLA compiles a training step; on a GPU alone where None.
    deterministic
        Whether a training gives the same weights each time on one machine, which takes longer on a
        GPU; it has to be the first that the program does with TensorFlow.
    validation_share
        Share of each frame, its lower rows, that is held out; a stage ends when their
        reconstruction or energy gets no better.
    patience
        Validations without improvement, one every 100 steps, after which a stage ends.

    Raises
    ------
    SemedgeError
        Where the frames, the options or the run folder cannot be used.
    """
    from semedge.core.view import ViewSettings
    from semedge_trainer.commands.detector_names import check_name
    from semedge_trainer.training.begin import begin_training

    begun = begin_training(
        Path(run),
        str(images),
        None if devices is None else list(devices),
        resume=resume,
        deterministic=deterministic,
        detector="" if resume else check_name(detector),
        settings={name: str(value) for name, value in (options or {}).items()},
        schedule=schedule,
        steps=steps,
        seed=seed,
        scaling=scaling,
        mixed_precision=mixed_precision,
        view=ViewSettings(crop_bottom_px=crop_bottom_px, bits=bits),
        validation_share=validation_share,
        patience=patience,
    )
    begun.finish(jit_compile)
    return Path(run)


def export(
    run: str | Path,
    bundle: str | Path,
    *,
    quantization: Quantization = "int8",
    score_name: str | None = None,
    only_score: bool = False,
    stride_px: int | None = None,
    tile_shape: tuple[int, int] | None = None,
) -> Path:
    """Turn a training run into a detector bundle, as `semedge export` does; the bundle's path.

    Parameters
    ----------
    run
        The run folder of a finished training.
    bundle
        Where the bundle goes.
    quantization
        What the graphs compute in; `qat` is int8 with quantization-aware fine-tuning.
    score_name
        The score that frames are judged by; the detector's default where None.
    only_score
        Leave out the graphs and arrays that this score does not need.
    stride_px
        Distance between patches; a whole patch where None.
    tile_shape
        Height and width of the tiles of a detector of whole frames; what suits the training frames
        best where None.

    Raises
    ------
    SemedgeError
        Where the run is not finished, or the edge cannot run its detector.
    """
    from semedge_trainer.extra import need_tensorflow

    need_tensorflow()
    from semedge_trainer.export.export import export_run
    from semedge_trainer.export.exporter import ExportRequest
    from semedge_trainer.training.run import Run

    request = ExportRequest(quantization, score_name, only_score, stride_px, tile_shape)
    export_run(Run.open(Path(run)), Path(bundle), request)
    return Path(bundle)


def evaluate(
    bundle: str | Path,
    images: str | Path,
    masks: str | Path,
    *,
    protocol: Literal["thesis", "pixel", "both"] = "both",
    normal_images: str | Path | None = None,
    score_names: Sequence[str] = (),
    calibration: str | Path | None = None,
    stride_px: int | None = None,
    fields: tuple[int, int] | None = None,
    crop_bottom_px: int = 0,
    bits: int | None = None,
    workers: int | None = None,
) -> Evaluation:
    """Measure a bundle on frames with defect masks, as `semedge evaluate` does.

    Parameters
    ----------
    bundle
        The detector, which runs as on the edge.
    images, masks
        Folders of frames, anomalous or not, and of a mask for each: NAME, NAME_gt or NAME_mask,
        above 0 where the frame is anomalous.
    protocol
        `thesis`: patches at stride 16, anomalous above 20 mask pixels, as in the code of the
        thesis's author; `pixel`: every pixel.
    normal_images
        Folder of normal frames that were not trained on, for the AUROC of whole frames.
    score_names
        Scores to measure; the one that frames are judged by where empty.
    calibration
        Also measure at the threshold of this file.
    stride_px
        Distance between patches in the pixel protocol; the bundle's own where None.
    fields
        Width and height in pixels of the fields that are judged in place of whole frames.
    crop_bottom_px
        Rows that are cut off at the lower edge of each frame.
    bits
        Bits of a pixel, where 16-bit frames have fewer and do not say so.
    workers
        Threads that score; the usable cores where None.

    Returns
    -------
    Evaluation
        `document()` gives everything as a JSON document; `results["pixel"].rows[0].samples.auroc`
        and its neighbours are the figures.

    Raises
    ------
    SemedgeError
        Where a frame, its mask or the bundle cannot be used.
    """
    from semedge_trainer.extra import need_package

    need_package("sklearn", "scikit-learn")
    from semedge.core.view import ViewSettings
    from semedge_trainer.evaluation.evaluate import evaluate as evaluate_request
    from semedge_trainer.evaluation.request import EvaluationRequest

    request = EvaluationRequest(
        images=Path(images),
        masks=Path(masks),
        detector=Path(bundle),
        normal_images=None if normal_images is None else Path(normal_images),
        view=ViewSettings(crop_bottom_px=crop_bottom_px, bits=bits),
        fields_px=fields,
        protocol=protocol,
        scores=tuple(score_names),
        calibration=None if calibration is None else Path(calibration),
        stride_px=stride_px,
        workers=workers,
    )
    return evaluate_request(request)


def __getattr__(name: str) -> Any:
    if name != "TrainableDetector":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from semedge_trainer.extra import need_tensorflow

    need_tensorflow()
    from semedge_trainer.detectors.base import TrainableDetector

    globals()[name] = TrainableDetector
    return TrainableDetector


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""A finished run folder to a detector bundle."""

from __future__ import annotations

from pathlib import Path

from semedge.core.console import progress
from semedge.core.errors import SemedgeError
from semedge.inference.bundle import array_content, members_of, write_bundle
from semedge.inference.manifest import (
    Manifest,
    PatchInput,
    Quantization,
    ScoreChoice,
    format_version_of,
)
from semedge.inference.scaling import scale_patches
from semedge.inference.scores import tensors_needed
from semedge_trainer.components.density import NORMAL_STATISTICS, normal_statistics
from semedge_trainer.detectors.whole_frame import FrameDetector
from semedge_trainer.export.export_frame import export_frames
from semedge_trainer.export.fully_convolutional import nodes_over_frame
from semedge_trainer.export.parity import compare, keras_tensors, parity_patches
from semedge_trainer.quantization.convert import (
    REPRESENTATIVE_PATCHES,
    convert,
    even_twins,
    inputs_of,
    plain_twins,
    scaled_nodes,
)
from semedge_trainer.quantization.int8 import convert_int8
from semedge_trainer.quantization.quantization_aware import quantization_aware_twins
from semedge_trainer.quantization.tensors import exported_tensors
from semedge_trainer.training.run import Run


def export_run(
    run: Run,
    path: Path,
    quantization: Quantization,
    *,
    score_name: str | None = None,
    only_score: bool = False,
    stride_px: int | None = None,
    tile_shape: tuple[int, int] | None = None,
) -> Manifest:
    """Export the networks of a run, compare them with the Keras networks, write the bundle.

    Parameters
    ----------
    run
        A finished training.
    path
        Where the bundle goes.
    quantization
        What the graphs compute in. Arrays are float32 in any bundle, so one without graphs is
        `float32` whatever is asked for.
    score_name
        The score that frames are judged by; the detector's default where None.
    only_score
        Leave out the graphs and arrays that this score does not need.
    stride_px
        Distance between patches that the bundle asks for; a whole patch where None.
    tile_shape
        Height and width of the tiles of a whole-frame detector, in the network's pixels; what
        suits the training frames best where None.
    """
    detector, networks = run.load()
    if detector.edge_refusal is not None:
        raise SemedgeError(detector.edge_refusal)
    if isinstance(detector, FrameDetector):
        return export_frames(
            run,
            path,
            quantization,
            score_name=score_name,
            only_score=only_score,
            stride_px=stride_px,
            tile_shape=tile_shape,
        )
    if tile_shape is not None:
        raise SemedgeError(
            f"{detector.name} scores patches and has no tiles; leave out the size of tiles."
        )
    plan = detector.chosen_plan(score_name, only=only_score)
    if not plan.graphs:
        quantization = "float32"
    patches = scale_patches(run.patches(), run.record.scaling)
    needed = set().union(*(tensors_needed(weights) for weights in plan.scores.values()))
    tensors = (
        keras_tensors(detector.score_plan(), networks, patches)
        if quantization == "qat"
        else keras_tensors(
            plan,
            networks,
            patches if needed & NORMAL_STATISTICS.keys() else patches[:REPRESENTATIVE_PATCHES],
        )
    )
    fitted = {name: array for name, array in run.fitted().items() if name in needed}
    constants = fitted | normal_statistics(tensors, needed - set(fitted))
    match quantization:
        case "qat":
            twins = quantization_aware_twins(detector, networks, tensors)
        case "int8":
            twins = even_twins(plan, networks, tensors)
        case _:
            twins = plain_twins(plan, networks)
    graphs = {}
    for name in progress(plan.graphs, "converting"):
        twin = twins[name]
        representative = twin.scaled(inputs_of(name, plan, tensors))
        graphs[name] = (
            convert_int8(twin.model, representative)
            if quantization in ("int8", "qat")
            else convert(twin.model, quantization, representative)
        )
    nodes, scales = scaled_nodes(plan.nodes, twins)
    compared, blurred = parity_patches(patches)
    parity = compare(
        plan,
        keras_tensors(plan, networks, compared),
        exported_tensors(nodes, graphs, scales, compared),
        constants,
        blurred,
    )
    patch_input = PatchInput(patch_px=detector.patch_px, scaling=run.record.scaling)
    stride_px = stride_px or detector.patch_px
    nodes, over_frame = nodes_over_frame(
        nodes, graphs, patch_input, stride_px, run.record.frame_shape
    )
    contents = {f"{name}.tflite": graph for name, graph in (graphs | over_frame).items()}
    contents |= {
        f"{name}.npy": array_content(array) for name, array in (constants | scales).items()
    }
    manifest = Manifest(
        format_version=format_version_of(patch_input, nodes),
        detector=detector.name,
        input=patch_input,
        stride_px=stride_px,
        quantization=quantization,
        nodes=nodes,
        score=ScoreChoice(name=plan.default, weights=dict(plan.scores[plan.default])),
        scores={name: dict(weights) for name, weights in plan.scores.items()},
        members=members_of(contents),
        training=run.record.provenance(detector.thesis_section),
        parity=parity,
    )
    write_bundle(path, manifest, contents)
    return manifest

"""`semedge inspect`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import click

from semedge.core.console import print_json
from semedge.inference.bundle import Bundle, read_bundle
from semedge.inference.manifest import Manifest, Node, ScoreChoice
from semedge.inference.network_input import FrameGeometry, FrameInput

logger = logging.getLogger(__name__)


def _tiles(node: Node) -> str:
    if node.over_frame is None:
        return ""
    height, width = node.over_frame.tile_shape
    return f", fully convolutional by {node.over_frame.graph} in tiles of {width}x{height} px"


def _weighted(weights: dict[str, float]) -> str:
    """A score as a sum, such as `0.9 im1 + 0.1 final_3`."""
    return " + ".join(f"{weight:g} {term}" for term, weight in weights.items())


def _input(manifest: Manifest) -> tuple[str, str]:
    """The input of the graphs, as a name and a value."""
    taken = manifest.input
    if isinstance(taken, FrameGeometry):
        tiles = ""
        if isinstance(taken, FrameInput):
            tiles = f"tiles of {taken.tile_width_px}x{taken.tile_height_px} px, "
        return (
            "Frame",
            (
                f"{tiles}overlap {taken.overlap_px} px, magnified {taken.magnification:g} times; "
                f"a score every {manifest.stride_px} px"
            ),
        )
    return (
        "Patch",
        (
            f"{taken.patch_px}x{taken.patch_px} px, stride {manifest.stride_px} px, scaled by "
            f"{taken.scaling}"
        ),
    )


def _score(manifest: Manifest) -> str:
    """How a frame's score is computed."""
    score = manifest.score
    if isinstance(score, ScoreChoice):
        return f"{score.name} = {_weighted(score.weights)}"
    groups = [" + ".join(f"{each.weight:g} {each.name}" for each in g.maps) for g in score.groups]
    highest = groups[0] if len(groups) == 1 else f"the highest of {'; '.join(groups)}"
    position = "" if score.position is None else ", compared with the same position"
    return (
        f"{score.name} = {highest}{position}; a frame's is the mean of its highest "
        f"{score.top_share:.1%} of cells, at least {score.least_cells}"
    )


def _facts(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Facts about a detector, as pairs of a name and a value."""
    manifest = bundle.manifest
    training = manifest.training
    yield "Bundle", f"{bundle.name} (format {manifest.format_version})"
    yield "sha256", bundle.sha256
    yield "Detector", f"{manifest.detector}; thesis section {training.thesis_section}"
    yield _input(manifest)
    yield "Quantization", manifest.quantization
    yield "Score", _score(manifest)
    if manifest.choice is not None:
        yield "Chosen", manifest.choice.reason
        for candidate in manifest.choice.candidates:
            kinds = ", ".join(f"{kind} {value:.2f}" for kind, value in candidate.kinds.items())
            yield "Tried", f"{candidate.name}: AUROC {candidate.auroc:.3f} ({kinds})"
    for name, weights in sorted(manifest.scores.items()):
        yield "Other score", f"{name} = {_weighted(weights)}"
    for node in manifest.nodes:
        yield "Step", f"{node.output} = {node.graph}({', '.join(node.inputs)}){_tiles(node)}"
    for name, member in sorted(manifest.members.items()):
        yield "File", f"{name}, {member.size_bytes:,} bytes, sha256 {member.sha256[:16]}…"
    steps = ", ".join(f"{stage} {count:,}" for stage, count in training.steps.items()) or "none"
    yield (
        "Training",
        (
            f"{training.frames:,} frames, schedule {training.schedule}, seed {training.seed}, "
            f"steps {steps}; {training.created_at}"
        ),
    )
    yield (
        "Intensity",
        (
            f"mean {training.intensity.mean:.3f}, 1-99 % {training.intensity.percentile_1:.3f} to "
            f"{training.intensity.percentile_99:.3f} of the range"
        ),
    )
    for name, parity in manifest.parity.items():
        yield (
            "Parity",
            (
                f"{name}: rank correlation {parity.rank_correlation:.5f} with Keras; AUROC "
                f"{parity.auroc_exported:.3f}, Keras {parity.auroc_keras:.3f}, on "
                f"{parity.patches:,} patches"
            ),
        )


@click.command()
@click.argument("detector", type=click.Path(dir_okay=False, path_type=Path), metavar="DETECTOR")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest to stdout as JSON.")
def inspect(detector: Path, as_json: bool) -> None:
    """Show what a detector bundle contains."""
    bundle = read_bundle(detector)
    if as_json:
        print_json(
            {
                "path": str(detector),
                "sha256": bundle.sha256,
                "manifest": bundle.manifest.model_dump(mode="json"),
            }
        )
        return
    for name, value in _facts(bundle):
        logger.info(f"{name:<13} {value}")

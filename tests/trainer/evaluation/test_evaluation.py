"""`semedge evaluate`: metrics, protocols, masks, and the command as a user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from bundles import FRAME_SHAPE, STRIDE_PX, normal_frames, tiny_calibration
from evaluated import MASK, Evaluate, Folders
from sklearn.decomposition import PCA

from semedge.cameras.simulation import SimulatedLine
from semedge.core.frame import Frame
from semedge.core.images import read_image
from semedge.inference.bundle import read_bundle
from semedge.inference.detector import Detector
from semedge.inference.grid import PatchGrid
from semedge.inference.scaling import scale_patches
from semedge_trainer.evaluation.baselines import BASELINE_NAMES, Baselines
from semedge_trainer.evaluation.masks import match_masks
from semedge_trainer.evaluation.network_scorer import NetworkScorer
from semedge_trainer.evaluation.protocols import PixelProtocol, ThesisProtocol
from semedge_trainer.evaluation.scored_frames import parts_of, score_frames
from semedge_trainer.training.run import Run


def test_the_thesis_grid_has_2583_patches() -> None:
    grid = ThesisProtocol().grid((696, 1024), 32)
    assert grid.shape == (41, 63)
    assert len(grid) == 2583
    assert grid.frame_shape == (672, 1024)


@pytest.mark.parametrize("patch_px", [16, 24, 32, 48, 64])
def test_no_patch_of_the_thesis_grid_snaps_to_the_border(patch_px: int) -> None:
    grid = ThesisProtocol().grid((333, 410), patch_px)
    for starts in (grid.tops, grid.lefts):
        assert set(np.diff(starts)) == {16}


@pytest.mark.parametrize(("set_px", "anomalous"), [(0, False), (20, False), (21, True)])
def test_a_patch_is_anomalous_above_20_mask_pixels(set_px: int, anomalous: bool) -> None:
    protocol = ThesisProtocol()
    mask = np.zeros((70, 70), bool)
    mask[64:, 64:] = True
    mask[40, 40 : 40 + min(set_px, 8)] = True
    mask[41, 40 : 40 + max(0, min(set_px - 8, 8))] = True
    mask[42, 40 : 40 + max(0, set_px - 16)] = True
    labels = protocol.labels(protocol.grid(mask.shape, 32), mask)
    assert labels.shape == (9,)
    assert labels[8] == anomalous
    assert not labels[0]


def test_all_scores_in_one_pass_are_those_of_the_edge(bundle_file: Path) -> None:
    bundle = read_bundle(bundle_file)
    image = normal_frames()[0]
    names = list(bundle.manifest.all_scores)
    assert names == ["gaussian", "doubled"]
    with Detector(bundle, workers=2, score_names=names) as scorer:
        grid = PatchGrid(FRAME_SHAPE, 32, STRIDE_PX)
        scores = scorer.score_chosen(image, grid, np.arange(len(grid)))
    for name in names:
        with Detector(bundle, workers=1, score_names=[name]) as detector:
            expected = detector.score(Frame(image, 0, 0.0, "frame")).patch_scores
        np.testing.assert_array_equal(scores[name], expected)


def test_samples_of_the_pixel_protocol_are_all_pixels(bundle_file: Path, folders: Folders) -> None:
    bundle = read_bundle(bundle_file)
    protocol = PixelProtocol(STRIDE_PX)
    with Detector(bundle, workers=1, score_names=["gaussian"]) as scorer:
        scored = score_frames(scorer, match_masks(folders.images, folders.masks)[:1], [protocol])
    with Detector(bundle, workers=1) as detector:
        image = read_image(folders.images / "frame0.tif")
        pixels = detector.score(Frame(image, 0, 0.0, "frame")).to_pixels()
    samples = scored["pixel"][0].samples(protocol, "gaussian")
    np.testing.assert_array_equal(samples.anomalous, np.sort(pixels[MASK].ravel()))
    assert len(samples.normal) == pixels.size - 64 * 64


def test_baselines_are_statistics_and_the_residual_of_principal_components() -> None:
    images = normal_frames()[:2]
    baselines = Baselines.fit(images, 16)
    fitted_on = [scale_patches(PatchGrid(FRAME_SHAPE, 16, 4).cut(i), "range") for i in images]
    reference = PCA(64, svd_solver="full").fit(np.concatenate(fitted_on).reshape(-1, 256))
    patches = PatchGrid(FRAME_SHAPE, 16, 16).cut(normal_frames()[2])
    values = scale_patches(patches, "range").reshape(-1, 256)
    scores = baselines.scores(patches)
    back = reference.inverse_transform(reference.transform(values))
    assert tuple(scores) == BASELINE_NAMES
    np.testing.assert_allclose(scores["floor_mean_gray"], values.mean(axis=1))
    np.testing.assert_allclose(scores["floor_deviation"], values.std(axis=1))
    residual = np.linalg.norm(values - back, axis=1)
    np.testing.assert_allclose(scores["floor_pca"], residual, rtol=1e-3)


def test_a_film_is_found_and_the_baselines_stand_beside_it(
    evaluate: Evaluate, bundle_file: Path, folders: Folders, tmp_path: Path
) -> None:
    calibration = tiny_calibration(tmp_path / "calibration.json", bundle_file)
    called = evaluate(
        *("--all-scores", "--floors", "sim:1?frames=2&size=256x192"),
        *("--calibration", calibration, "--json"),
    )
    assert called.status == 0, called.err
    document = json.loads(called.out)
    assert list(document["protocols"]) == ["thesis", "pixel"]
    for protocol in document["protocols"].values():
        rows = {row["score"]: row for row in protocol["scores"]}
        assert list(rows) == ["gaussian", "doubled", *BASELINE_NAMES]
        assert rows["gaussian"]["items"]["auroc"] > 0.9
        assert rows["gaussian"]["items"]["auroc"] == pytest.approx(
            rows["doubled"]["items"]["auroc"]
        )
        assert rows["gaussian"]["frames"]["auroc"] == 1.0
        calibrated = rows["gaussian"]["items"]["calibrated"]
        assert calibrated["threshold"] == document["calibration"]["threshold"]
        assert rows["doubled"]["items"]["calibrated"] is None
        assert [frame["anomalous_px"] for frame in protocol["frames"]] == [4096, 4096, 4096, 0]
    per_frame = [document["protocols"][name]["scores"][0]["frames"] for name in ("thesis", "pixel")]
    assert per_frame[0]["calibrated"] is None
    assert per_frame[1]["calibrated"]["recall"] == 1.0
    pixels = document["protocols"]["pixel"]["scores"][0]["items"]
    assert (pixels["items"], pixels["anomalous"]) == (4 * 192 * 256, 3 * 4096)


def test_the_table_counts_the_frames_flagged(
    evaluate: Evaluate, bundle_file: Path, tmp_path: Path
) -> None:
    calibration = tiny_calibration(tmp_path / "calibration.json", bundle_file)
    called = evaluate("--protocol", "pixel", "--calibration", calibration)
    assert called.status == 0, called.err
    assert "4 frames at stride 32 px, 196,608 pixels, 6.25% anomalous" in called.out
    row = next(line for line in called.out.splitlines() if "gaussian" in line)
    assert "3 of 3" in row
    assert "of 1" in row


def test_a_calibration_of_a_score_left_out_is_refused(
    evaluate: Evaluate, bundle_file: Path, tmp_path: Path
) -> None:
    calibration = tiny_calibration(tmp_path / "calibration.json", bundle_file)
    called = evaluate("--score", "doubled", "--calibration", calibration)
    assert called.status == 1
    assert "add --score gaussian" in called.err


def test_fields_are_judged_by_the_patches_inside_them() -> None:
    mask = np.zeros((100, 130), bool)
    mask[99, 129] = mask[10, 70] = True
    parts = list(parts_of(PatchGrid((100, 130), 32, 32), mask, (64, 48)))
    assert [part.patches.tolist() for part in parts] == [[0, 1], [2, 3], [10, 11], [12, 13]]
    assert [part.anomalous for part in parts] == [False, True, False, False]
    (whole,) = parts_of(PatchGrid((100, 130), 32, 32), mask, None)
    assert (len(whole.patches), whole.anomalous) == (20, True)


def test_normal_frames_count_among_whole_frames_only(
    evaluate: Evaluate, folders: Folders, tmp_path: Path
) -> None:
    (folders.images / "frame3.tif").unlink()
    (alone,) = [json.loads(evaluate("--json", "--protocol", "pixel").out)]
    normal = tmp_path / "normal"
    normal.mkdir()
    for index in range(4):
        line = SimulatedLine(seed=77, shape=FRAME_SHAPE, defect_rate=0.0)
        cv2.imwrite(str(normal / f"{index}.png"), line.frame(index).image)
    called = evaluate("--json", "--protocol", "pixel", "--normal", normal)
    assert called.status == 0, called.err
    beside = json.loads(called.out)
    before, after = (each["protocols"]["pixel"]["scores"][0] for each in (alone, beside))
    assert before["items"] == after["items"]
    assert before["frames"]["auroc"] is None
    assert after["frames"]["auroc"] == 1.0
    assert (after["frames"]["items"], after["frames"]["anomalous"]) == (7, 3)
    assert "frames beside them" in evaluate("--protocol", "pixel", "--normal", normal).out


def test_normal_frames_of_the_training_are_refused(evaluate: Evaluate, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "seen.png"), normal_frames()[0])
    called = evaluate("--normal", tmp_path)
    assert called.status == 3
    assert "trained on 1 of the 1 normal frames" in called.err
    assert "seen.png" in called.err


def test_fields_give_an_auroc_without_normal_frames(evaluate: Evaluate) -> None:
    called = evaluate("--protocol", "pixel", "--fields", "64x64", "--json")
    assert called.status == 0, called.err
    document = json.loads(called.out)
    fields = document["protocols"]["pixel"]["scores"][0]["frames"]
    assert document["settings"]["fields_px"] == [64, 64]
    assert (fields["items"], fields["anomalous"]) == (4 * 3 * 4, 3 * 4)
    assert fields["auroc"] > 0.7
    assert "AUROC of fields" in evaluate("--protocol", "pixel", "--fields", "64x64").out


def test_a_sample_of_patches_is_seeded(evaluate: Evaluate) -> None:
    documents = [
        json.loads(evaluate("--patches", 40, "--seed", seed, "--json").out) for seed in (1, 1, 2)
    ]
    rows = [document["protocols"]["thesis"]["scores"][0] for document in documents]
    assert rows[0] == rows[1] != rows[2]
    assert rows[0]["items"]["items"] == 40
    assert rows[0]["frames"]["items"] == 0
    assert documents[0]["settings"]["patches_a_frame"] == 10


def test_a_run_that_the_edge_cannot_have_is_measured(
    evaluate: Evaluate, anogan_run: Path, tmp_path: Path
) -> None:
    settings = ("--patches", 12, "--search-steps", 2, "--mixed-precision", "--all-scores", "--json")
    called = evaluate("--run", anogan_run, *settings, "--report", tmp_path, detector=False)
    assert called.status == 0, called.err
    document = json.loads(called.out)
    assert document["detector"]["name"] == "anogan"
    assert document["settings"]["search_steps"] == 2
    assert document["settings"]["search_precision"] == "mixed"
    rows = document["protocols"]["thesis"]["scores"]
    assert [row["score"] for row in rows] == ["inversion", "inversion_cross_entropy"]
    assert all(row["items"]["items"] == 12 for row in rows)
    assert rows[0]["items"] != rows[1]["items"]
    page = (tmp_path / "report.html").read_text()
    assert "Evaluation of anogan" in page
    assert 'id="reconstructions"' in page


def test_a_run_is_not_advised_to_take_a_calibration(evaluate: Evaluate, anogan_run: Path) -> None:
    settings = ("--patches", 12, "--search-steps", 1)
    called = evaluate("--run", anogan_run, *settings, detector=False)
    assert called.status == 0, called.err
    assert called.out.startswith("Thesis protocol: ")
    assert "--calibration" not in called.out


def test_networks_that_are_traced_once_each_are_no_warning(
    short_run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    grid = PatchGrid(FRAME_SHAPE, 32, 32)
    tf.get_logger().addHandler(caplog.handler)
    try:
        for _ in range(4):
            scorer = NetworkScorer(Run.open(short_run), "im1")
            scores = scorer.score_chosen(normal_frames()[0], grid, np.arange(6))["im1"]
    finally:
        tf.get_logger().removeHandler(caplog.handler)
    assert scores.shape == (6,)
    assert "retracing" not in caplog.text


def test_a_run_of_an_exportable_detector_is_sent_to_the_export(
    evaluate: Evaluate, short_run: Path
) -> None:
    called = evaluate("--run", short_run, detector=False)
    assert called.status == 1
    assert "sencebgan runs on the edge; export" in called.err


def test_normal_frames_alone_are_undefined_in_the_table(
    evaluate: Evaluate, folders: Folders
) -> None:
    for index in range(3):
        (folders.images / f"frame{index}.tif").unlink()
    called = evaluate("--protocol", "pixel")
    assert called.status == 0, called.err
    assert "0.00% anomalous" in called.out
    assert called.out.count("undefined") == 4


@pytest.mark.real_data
def test_the_share_of_anomalous_patches_is_that_of_the_thesis(real_data_dir: Path) -> None:
    folder = real_data_dir / "nanotwice" / "anomalous"
    protocol = ThesisProtocol()
    labels = []
    for files in match_masks(folder / "images", folder / "masks"):
        frame, mask = files.read(32)
        labels.append(protocol.labels(protocol.grid(frame.shape, 32), mask))
    assert {len(frame) for frame in labels} == {2583}
    assert np.concatenate(labels).mean() == pytest.approx(0.0626, abs=0.01)


def test_the_first_line_is_what_a_line_would_have_seen(
    evaluate: Evaluate, bundle_file: Path, folders: Folders, tmp_path: Path
) -> None:
    calibration = tiny_calibration(tmp_path / "calibration.json", bundle_file)
    called = evaluate("--protocol", "pixel", "--calibration", calibration)
    assert called.status == 0, called.err
    first = called.out.splitlines()[0]
    assert re.fullmatch(r"\d of 3 defective frames found, \d of 1 good ones alarmed\.", first)
    without = evaluate("--protocol", "pixel")
    assert "--calibration FILE" in without.out.splitlines()[0]

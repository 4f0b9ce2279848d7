"""`semedge evaluate`: metrics, protocols, masks, and the command as a user runs it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import FRAME_SHAPE, STRIDE_PX, normal_frames, tiny_bundle, tiny_calibration, with_film
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_auc_score,
)

from semedge.bundle import read_bundle
from semedge.cli import main
from semedge.detector import Detector
from semedge.errors import SemedgeError
from semedge.frame import Frame
from semedge.grid import PatchGrid
from semedge.images import read_gray
from semedge.scaling import scale_patches
from semedge_trainer.evaluation import (
    MultiScorer,
    PixelProtocol,
    ThesisProtocol,
    score_frames,
    score_names,
)
from semedge_trainer.floors import FLOOR_NAMES, Floors
from semedge_trainer.masks import match_masks
from semedge_trainer.metrics import FrameItems, frame_items, measure

MASK = (slice(60, 124), slice(90, 154))
"""Where `with_film` puts its film."""


def scored_frames(seed: int, frames: int = 8, shift: float = 1.0) -> list[FrameItems]:
    random = np.random.default_rng(seed)
    found = []
    for _ in range(frames):
        anomalous = random.random(500) < 0.1
        scores = random.normal(size=500) + shift * anomalous
        found.append(frame_items(scores.astype(np.float32), anomalous))
    return found


@dataclass(frozen=True)
class Folders:
    images: Path
    masks: Path


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Three frames with a film on them and one normal frame."""
    made = Folders(tmp_path / "images", tmp_path / "masks")
    made.images.mkdir()
    made.masks.mkdir()
    mask = np.zeros(FRAME_SHAPE, np.uint8)
    for index, image in enumerate(normal_frames()[:4]):
        if index == 0:
            mask[MASK] = 132
        if index == 3:
            mask[:] = 0
        shown = image if index == 3 else with_film(image)
        cv2.imwrite(str(made.images / f"frame{index}.tif"), shown)
        cv2.imwrite(str(made.masks / f"frame{index}_gt.png"), mask)
    return made


@pytest.fixture(scope="module")
def bundle_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("evaluated") / "tiny.semedge")


@dataclass(frozen=True)
class Outcome:
    status: int
    stdout: str
    stderr: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bundle_file: Path,
    folders: Folders,
) -> Run:
    def run_evaluate(*arguments: object) -> Outcome:
        fixed = ["--detector", bundle_file, "--images", folders.images, "--masks", folders.masks]
        monkeypatch.setattr(sys, "argv", ["semedge", "evaluate", *map(str, [*fixed, *arguments])])
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(int(ended.value.code or 0), *capsys.readouterr())

    return run_evaluate


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60).filter(
        lambda items: len({anomalous for _, anomalous in items}) == 2
    ),
    st.integers(-1, 7),
)
@settings(max_examples=60, deadline=None)
def test_metrics_agree_with_scikit_learn_ties_included(
    items: list[tuple[int, bool]], threshold: int
) -> None:
    scores = np.array([score for score, _ in items], np.float32)
    truth = np.array([anomalous for _, anomalous in items])
    half = len(items) // 2
    parts = [frame_items(scores[part], truth[part]) for part in (slice(half), slice(half, None))]
    measured = measure(parts, threshold=float(threshold))

    assert measured.auroc == pytest.approx(roc_auc_score(truth, scores))
    assert measured.average_precision == pytest.approx(average_precision_score(truth, scores))
    precision, recall, _ = precision_recall_curve(truth, scores)
    best = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    assert measured.oracle is not None
    assert measured.oracle.f1 == pytest.approx(best)
    for point in (measured.oracle, measured.calibrated):
        assert point is not None
        flagged = scores > point.threshold
        assert point.recall == pytest.approx(recall_score(truth, flagged))
        assert point.f1 == pytest.approx(f1_score(truth, flagged))
        assert point.false_alarm_share == pytest.approx(flagged[~truth].mean())
        if flagged.any():
            assert point.precision == pytest.approx(precision_score(truth, flagged))
        else:
            assert point.precision is None


def test_the_interval_is_seeded_and_contains_the_estimate() -> None:
    frames = scored_frames(seed=1)
    first, again, other = (measure(frames, seed=seed) for seed in (0, 0, 1))
    assert first.auroc is not None
    assert first.auroc_interval is not None
    low, high = first.auroc_interval
    assert low < first.auroc < high
    assert high - low < 0.2
    assert again.auroc_interval == first.auroc_interval != other.auroc_interval


def test_binned_resamples_give_the_auroc_of_all_frames_alike() -> None:
    """Equal frames: each resample has the AUROC of the whole, up to the bins."""
    frames = scored_frames(seed=2, frames=1) * 5
    measured = measure(frames)
    assert measured.auroc_interval == pytest.approx((measured.auroc, measured.auroc), abs=1e-4)


def test_a_single_frame_has_no_interval() -> None:
    assert measure(scored_frames(seed=3, frames=1)).auroc_interval is None


def test_nothing_anomalous_leaves_metrics_undefined() -> None:
    normal = frame_items(np.arange(10, dtype=np.float32), np.zeros(10, bool))
    measured = measure([normal, normal], threshold=7.0)
    assert (measured.items, measured.anomalous) == (20, 0)
    assert measured.auroc is measured.auroc_interval is measured.average_precision is None
    assert measured.oracle is None
    assert measured.calibrated is not None
    assert measured.calibrated.recall is measured.calibrated.f1 is None
    assert measured.calibrated.precision is None
    assert measured.calibrated.false_alarm_share == pytest.approx(0.2)


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
    names = score_names(bundle)
    assert names == ["gaussian", "doubled"]
    with MultiScorer(bundle, names, workers=2) as scorer:
        scores = scorer.score(PatchGrid(FRAME_SHAPE, 32, STRIDE_PX).cut(image))
    for name in names:
        with Detector(bundle, workers=1, score_name=name) as detector:
            expected = detector.score(Frame(image, 0, 0.0, "frame")).patch_scores
        np.testing.assert_array_equal(scores[name], expected)


def test_items_of_the_pixel_protocol_are_all_pixels(bundle_file: Path, folders: Folders) -> None:
    bundle = read_bundle(bundle_file)
    protocol = PixelProtocol(STRIDE_PX)
    with MultiScorer(bundle, ["gaussian"], workers=1) as scorer:
        scored = score_frames(scorer, match_masks(folders.images, folders.masks)[:1], [protocol])
    with Detector(bundle, workers=1) as detector:
        image = read_gray(folders.images / "frame0.tif")
        pixels = detector.score(Frame(image, 0, 0.0, "frame")).to_pixels()
    items = scored["pixel"][0].items(protocol, "gaussian")
    np.testing.assert_array_equal(items.anomalous, np.sort(pixels[MASK].ravel()))
    assert len(items.normal) == pixels.size - 64 * 64


def test_floors_are_statistics_and_the_residual_of_principal_components() -> None:
    images = normal_frames()[:2]
    floors = Floors.fit(images, 16)
    fitted_on = [scale_patches(PatchGrid(FRAME_SHAPE, 16, 4).cut(i), "range") for i in images]
    reference = PCA(64, svd_solver="full").fit(np.concatenate(fitted_on).reshape(-1, 256))
    patches = PatchGrid(FRAME_SHAPE, 16, 16).cut(normal_frames()[2])
    values = scale_patches(patches, "range").reshape(-1, 256)
    scores = floors.floor_scores(patches)
    back = reference.inverse_transform(reference.transform(values))
    assert tuple(scores) == FLOOR_NAMES
    np.testing.assert_allclose(scores["floor_mean_gray"], values.mean(axis=1))
    np.testing.assert_allclose(scores["floor_deviation"], values.std(axis=1))
    residual = np.linalg.norm(values - back, axis=1)
    np.testing.assert_allclose(scores["floor_pca"], residual, rtol=1e-3)


def remove_mask(folders: Folders) -> None:
    (folders.masks / "frame1_gt.png").unlink()


def shrink_mask(folders: Folders) -> None:
    cv2.imwrite(str(folders.masks / "frame1_gt.png"), np.zeros((100, 200), np.uint8))


def double_mask(folders: Folders) -> None:
    cv2.imwrite(str(folders.masks / "frame1.png"), np.zeros(FRAME_SHAPE, np.uint8))


def double_frame(folders: Folders) -> None:
    cv2.imwrite(str(folders.images / "frame1.png"), np.zeros(FRAME_SHAPE, np.uint8))


def shrink_frame(folders: Folders) -> None:
    cv2.imwrite(str(folders.images / "frame1.tif"), np.zeros((20, 200), np.uint8))
    cv2.imwrite(str(folders.masks / "frame1_gt.png"), np.zeros((20, 200), np.uint8))


def remove_masks(folders: Folders) -> None:
    folders.masks.rename(folders.masks.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (remove_mask, "frame1.tif has no mask in"),
        (shrink_mask, "frame1_gt.png has 200x100 px and its frame"),
        (double_mask, "frame1.tif has several masks"),
        (double_frame, "would have the same mask"),
        (shrink_frame, "of 200x20 px is smaller than a patch of 32x32 px"),
        (remove_masks, "give the folder that holds the masks"),
    ],
)
def test_bad_folders_end_with_one_sentence(
    run: Run, folders: Folders, spoil: Callable[[Folders], None], sentence: str
) -> None:
    spoil(folders)
    outcome = run()
    assert outcome.status == 1
    assert outcome.stdout == ""
    assert sentence in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1


def test_small_patches_are_refused_by_the_thesis_protocol() -> None:
    with pytest.raises(SemedgeError, match="patches of 16 px or more"):
        ThesisProtocol().grid((100, 100), 8)


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["--score", "im7"], 1, "has no score 'im7'; it has gaussian, doubled"),
        (["--score", "doubled", "--all-scores"], 2, "not both"),
        (["--protocol", "thesis", "--stride", "16"], 2, "need the pixel protocol"),
        (["--stride", "40"], 1, "stride_px must be between 1 and the patch side"),
    ],
)
def test_wrong_requests(run: Run, arguments: list[str], status: int, sentence: str) -> None:
    outcome = run(*arguments)
    assert outcome.status == status
    assert sentence in outcome.stderr


def test_a_film_is_told_and_the_floors_stand_beside_it(
    run: Run, bundle_file: Path, folders: Folders, tmp_path: Path
) -> None:
    calibration = tiny_calibration(tmp_path / "calibration.json", bundle_file)
    outcome = run(
        *("--all-scores", "--floors", "sim:1?frames=2&size=256x192"),
        *("--calibration", calibration, "--json"),
    )
    assert outcome.status == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert list(document["protocols"]) == ["thesis", "pixel"]
    for protocol in document["protocols"].values():
        rows = {row["score"]: row for row in protocol["scores"]}
        assert list(rows) == ["gaussian", "doubled", *FLOOR_NAMES]
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


def test_the_table_counts_the_frames_flagged(run: Run, bundle_file: Path, tmp_path: Path) -> None:
    calibration = tiny_calibration(tmp_path / "calibration.json", bundle_file)
    outcome = run("--protocol", "pixel", "--calibration", calibration)
    assert outcome.status == 0, outcome.stderr
    assert "4 frames at stride 32 px, 196,608 pixels, 6.25% anomalous" in outcome.stdout
    row = next(line for line in outcome.stdout.splitlines() if "gaussian" in line)
    assert "3 of 3" in row
    assert "of 1" in row


def test_a_calibration_of_a_score_left_out_is_refused(
    run: Run, bundle_file: Path, tmp_path: Path
) -> None:
    calibration = tiny_calibration(tmp_path / "calibration.json", bundle_file)
    outcome = run("--score", "doubled", "--calibration", calibration)
    assert outcome.status == 1
    assert "add --score gaussian" in outcome.stderr


def test_normal_frames_alone_are_undefined_in_the_table(run: Run, folders: Folders) -> None:
    for index in range(3):
        (folders.images / f"frame{index}.tif").unlink()
    outcome = run("--protocol", "pixel")
    assert outcome.status == 0, outcome.stderr
    assert "0.00% anomalous" in outcome.stdout
    assert outcome.stdout.count("undefined") == 4


def test_the_report_shows_frame_mask_and_heat(run: Run, folders: Folders, tmp_path: Path) -> None:
    report = tmp_path / "report"
    outcome = run("--protocol", "pixel", "--report", report, "--json")
    assert outcome.status == 0, outcome.stderr
    assert json.loads((report / "metrics.json").read_text()) == json.loads(outcome.stdout)
    assert sorted(path.name for path in report.glob("*.png")) == [
        f"frame{index}.png" for index in range(4)
    ]
    picture = cv2.imread(str(report / "frame0.png")).astype(int)
    frame, outlined, heated = np.split(picture, 3, axis=1)
    assert (frame[..., 0] == read_gray(folders.images / "frame0.tif")).all()
    changed = np.argwhere((frame != outlined).any(axis=-1))
    assert (changed.min(axis=0) == (60, 90)).all()
    assert (changed.max(axis=0) == (123, 153)).all()
    redness = np.abs(heated[..., 2] - heated[..., 0])
    assert redness[MASK].mean() > 2 * redness.mean()


@pytest.mark.real_data
def test_the_share_of_anomalous_patches_is_that_of_the_thesis(real_data_dir: Path) -> None:
    folder = real_data_dir / "nanotwice" / "anomalous"
    protocol = ThesisProtocol()
    labels = []
    for files in match_masks(folder / "images", folder / "masks"):
        image, mask = files.read(32)
        labels.append(protocol.labels(protocol.grid(image.shape, 32), mask))
    assert {len(frame) for frame in labels} == {2583}
    assert np.concatenate(labels).mean() == pytest.approx(0.0626, abs=0.01)

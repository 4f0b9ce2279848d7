"""`semedge evaluate --report`: what it says, what it draws, and the page in a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar, Literal

import cv2
import numpy as np
import pytest
from bundles import tiny_calibration
from chromium import CONTRASTS, chromium, needs_chromium
from commandcall import Call
from evaluated import MASK, Evaluate, Folders
from numpy.typing import NDArray
from playwright.sync_api import Browser, ViewportSize
from playwright.sync_api import Page as PlaywrightPage

from semedge.core.images import read_image
from semedge.inference.bundle import read_bundle
from semedge.inference.grid import PatchGrid
from semedge_trainer.evaluation import report as reports
from semedge_trainer.evaluation.bootstrap import HALF_BINS
from semedge_trainer.evaluation.distribution import BINS, Distribution
from semedge_trainer.evaluation.masks import match_masks
from semedge_trainer.evaluation.protocols import EvaluationProtocol, PixelProtocol, ThesisProtocol
from semedge_trainer.evaluation.report.losses import loss_curves
from semedge_trainer.evaluation.report.spots import Box, worst_false_alarms, worst_misses
from semedge_trainer.evaluation.results import Result, evaluate_frames

Scheme = Literal["light", "dark"]

SIZES = {"desk": (1280, 900), "phone": (390, 844)}
WAYS: tuple[tuple[str, Scheme], ...] = (("desk", "light"), ("phone", "dark"), ("phone", "light"))
SECTIONS = ["summary", "scores", "curves", "heat-maps", "misses", "false-alarms"]


class Page(HTMLParser):
    """What a page holds: its sections, its pictures, its tables' cells, its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.links: list[str] = []
        self.pictures = 0
        self.rows: list[list[str]] = []
        self.text = ""
        self._in_cell = False
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [given[name] or "" for name in ("href", "src") if name in given]
        if tag == "section":
            self.sections.append(given["id"] or "")
        if tag == "img":
            assert given["alt"]
            self.pictures += 1
        if tag == "tr":
            self.rows.append([])
        self._in_cell = tag in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            self.rows[-1].append(data)
            self._in_cell = False


def test_the_page_shows_the_numbers_and_holds_all_it_needs(
    evaluate: Evaluate, bundle_file: Path, folders: Folders, tmp_path: Path
) -> None:
    calibration = tiny_calibration(tmp_path / "calibration.json", bundle_file)
    called = evaluate(
        *("--all-scores", "--calibration", calibration, "--report", "out", "--json"),
    )
    assert called.status == 0, called.err
    document = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert document == json.loads(called.out)
    page = Page(tmp_path / "out" / "report.html")
    assert page.sections == SECTIONS
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} == set(SECTIONS)
    assert read_bundle(bundle_file).sha256 in page.text
    assert f"--calibration {calibration} --report out" in page.text
    gaussian = [row for row in page.rows if row[0] == "gaussian"]
    for protocol, row in zip(("thesis", "pixel"), gaussian, strict=True):
        measured = document["protocols"][protocol]["scores"][0]
        low, high = measured["items"]["auroc_interval"]
        auroc = measured["items"]["auroc"]
        assert row[1:3] == [f"{auroc:.3f}", f"{low:.3f}-{high:.3f}"]
        calibrated = measured["items"]["calibrated"]
        shown = [f"{calibrated[name]:.3f}" for name in ("precision", "recall", "f1")]
        assert row[-5:-2] == shown
        assert row[-2] == "1.000"
    names = ["histogram", "precision-recall", "roc"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [
        f"{name}-{protocol}.png" for name in names for protocol in ("pixel", "thesis")
    ]
    shown = [len(list((tmp_path / "out").glob(f"{each}/*"))) for each in ("misses", "false-alarms")]
    assert page.pictures == 6 + 3 * 4 + sum(shown)
    alarms = (tmp_path / "out" / "report.html").read_text().partition('id="false-alarms"')[2]
    assert alarms.count("false alarm</span>") == shown[1], "and nothing that is no false alarm"
    assert "not flagged" not in alarms


def test_a_frame_is_shown_with_its_mask_and_its_heat(
    evaluate: Evaluate, folders: Folders, tmp_path: Path
) -> None:
    assert evaluate("--protocol", "pixel", "--report", tmp_path).status == 0
    assert len(list((tmp_path / "frames").iterdir())) == 4
    picture = cv2.imread(str(tmp_path / "frames" / "0000-frame0.png")).astype(int)
    frame, outlined, heated = np.split(picture, 3, axis=1)
    assert (frame[..., 0] == read_image(folders.images / "frame0.tif")).all()
    changed = np.argwhere((frame != outlined).any(axis=-1))
    assert (changed.min(axis=0) == (60, 90)).all()
    assert (changed.max(axis=0) == (123, 153)).all()
    redness = np.abs(heated[..., 2] - heated[..., 0])
    assert redness[MASK].mean() > 2 * redness.mean()


def test_of_many_frames_some_are_on_the_page(
    evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST_FRAMES", 2)
    assert evaluate("--protocol", "pixel", "--report", tmp_path).status == 0
    page = Page(tmp_path / "report.html")
    assert "2 of 4 frames, evenly chosen" in page.text
    assert "frame0.tif: highest" in page.text
    assert "frame2.tif: highest" in page.text
    assert "frame1.tif: highest" not in page.text
    assert len(list((tmp_path / "frames").iterdir())) == 4


def test_a_name_is_no_code(evaluate: Evaluate, folders: Folders, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>&amp" + "\udcff" + "n" * 150
    (folders.images / "frame0.tif").rename(folders.images / f"{name}.tif")
    (folders.masks / "frame0_gt.png").rename(folders.masks / f"{name}.png")
    assert evaluate("--report", tmp_path).status == 0
    page = Page(tmp_path / "report.html")
    shown = name.replace("\udcff", "?")
    assert f"{shown}.tif: highest score" in page.text
    assert "x" not in page.links


def test_what_normal_frames_cannot_tell_is_undefined(
    evaluate: Evaluate, folders: Folders, tmp_path: Path
) -> None:
    for index in range(3):
        (folders.images / f"frame{index}.tif").unlink()
    assert evaluate("--report", tmp_path).status == 0
    page = Page(tmp_path / "report.html")
    rows = [row for row in page.rows if row[0] == "gaussian"]
    assert set(rows[0][1:]) == set(rows[1][1:]) == {"undefined"}
    assert "There is none." in page.text
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "histogram-pixel.png",
        "histogram-thesis.png",
    ]


def test_a_sample_of_patches_has_no_heat_maps(evaluate: Evaluate, tmp_path: Path) -> None:
    assert evaluate("--patches", 60, "--report", tmp_path).status == 0
    assert Page(tmp_path / "report.html").sections == [
        name for name in SECTIONS if name != "heat-maps"
    ]


class Brightness:
    """Scores a patch by its mean gray value."""

    facts: ClassVar = {"name": "brightness"}
    patch_px = stride_px = 32
    whole_frames = False
    trained_on = ()

    def score_chosen(self, image: NDArray, grid: PatchGrid, chosen: NDArray) -> dict[str, NDArray]:
        patches = grid.cut(grid.crop(image))[chosen]
        return {"brightness": patches.mean(axis=(1, 2, 3)).astype(np.float32)}


def measured(folders: Folders, protocol: EvaluationProtocol) -> Result:
    frames = match_masks(folders.images, folders.masks)
    return evaluate_frames(Brightness(), frames, [protocol], {})[protocol.name]


@pytest.fixture
def dark(tmp_path: Path) -> Folders:
    """A gray frame with a dark defect of 16x32 px, a bright one, and a bright normal place."""
    made = Folders(tmp_path / "dark", tmp_path / "dark-masks")
    made.images.mkdir()
    made.masks.mkdir()
    image, mask = np.full((192, 256), 100, np.uint8), np.zeros((192, 256), np.uint8)
    for value, marked, rows, columns in (
        (20, 255, slice(48, 64), slice(64, 96)),
        (220, 255, slice(128, 160), slice(32, 64)),
        (250, 0, slice(64, 96), slice(192, 224)),
    ):
        image[rows, columns], mask[rows, columns] = value, marked
    cv2.imwrite(str(made.images / "a.png"), image)
    cv2.imwrite(str(made.masks / "a.png"), mask)
    return made


def test_the_worst_region_is_the_one_whose_highest_score_is_lowest(dark: Folders) -> None:
    result = measured(dark, PixelProtocol(16))
    first, second = worst_misses(result)
    assert (first.box, second.box) == (Box(48, 64, 16, 32), Box(128, 32, 32, 32))
    assert first.score < 100 < second.score
    assert worst_misses(result, most=1) == [first]


def test_the_worst_false_alarm_is_far_from_the_masks_and_shown_once(dark: Folders) -> None:
    first, second, *_ = worst_false_alarms(measured(dark, PixelProtocol(16)))
    assert first.box == Box(64, 192, 32, 32)
    assert first.score == 250
    assert max(abs(second.box.top - 64), abs(second.box.left - 192)) >= 64


def test_the_worst_patches_of_the_thesis_are_as_they_are_labelled(dark: Folders) -> None:
    result = measured(dark, ThesisProtocol())
    missed, alarm = worst_misses(result)[0], worst_false_alarms(result)[0]
    assert missed.box == Box(32, 64, 32, 32)
    assert missed.score == 60
    assert alarm.box == Box(64, 192, 32, 32)


@pytest.mark.parametrize(("anomalous", "normal"), [(300, 5000), (0, 50), (40, 0), (1, 1)])
def test_a_distribution_counts_every_score(anomalous: int, normal: int) -> None:
    random = np.random.default_rng(3)
    kinds = [np.sort(random.normal(size=count).astype(np.float32)) for count in (anomalous, normal)]
    found = Distribution.of(*kinds)
    assert (found.hits[0], found.alarms[0]) == (anomalous, normal)
    assert len(found.hits) <= 2 * HALF_BINS
    assert (np.diff(found.hits) <= 0).all()
    for counts, values in ((found.anomalous, kinds[0]), (found.normal, kinds[1])):
        assert len(counts) == BINS
        inside = np.clip(values, found.edges[0], found.edges[-1])
        np.testing.assert_array_equal(counts, np.histogram(inside, found.edges)[0])


def test_equal_scores_can_be_counted() -> None:
    same = np.full(5, 2.0, np.float32)
    found = Distribution.of(same, same)
    assert (found.hits.tolist(), found.alarms.tolist()) == ([5], [5])
    assert found.anomalous.sum() == found.normal.sum() == 5


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@contextmanager
def opened(browser: Browser, path: Path, size: str, scheme: Scheme) -> Iterator[PlaywrightPage]:
    """The page with no network, and what was said and asked for meanwhile."""
    width, height = SIZES[size]
    viewport = ViewportSize(width=width, height=height)
    context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.set_default_timeout(15000)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(request.url))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    context.close()


@needs_chromium
def test_the_page_in_a_browser(
    browser: Browser, call: Call, folders: Folders, tmp_path: Path
) -> None:
    """By the demo detector, whose graphs give reconstructions; the page alone, moved elsewhere."""
    called = call("evaluate", *folders.given, "--stride", 32, "--all-scores", "--report", "out")
    assert called.status == 0, called.err
    assert {path.name for path in (tmp_path / "out").glob("rec*.png")} == {
        "reconstructions-anomalous.png",
        "reconstructions-normal.png",
    }
    alone = (tmp_path / "out" / "report.html").rename(tmp_path / "alone.html")
    for size, scheme in WAYS:
        with opened(browser, alone, size, scheme) as page:
            shown = page.locator("section").evaluate_all("found => found.map(each => each.id)")
            assert shown == [*SECTIONS[:4], "reconstructions", *SECTIONS[4:]]
            pictures = page.evaluate("[...document.images].map(each => each.naturalWidth)")
            assert len(pictures) >= 20
            assert min(pictures) > 0
            assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
            assert page.evaluate(CONTRASTS) == [], "text stands out from its ground (WCAG AA)"


def test_the_report_of_a_run_has_the_losses_of_its_stages(
    tmp_path: Path, evaluate: Evaluate, anogan_run: Path
) -> None:
    out = tmp_path / "report"
    evaluate(
        *("--run", anogan_run, "--patches", 4, "--search-steps", 1, "--report", out),
        detector=False,
    )
    assert {"losses", "reconstructions"} <= set(Page(out / "report.html").sections)
    assert cv2.imread(str(out / "losses-gan.png")) is not None


def test_losses_are_drawn_stage_by_stage(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for stage in ("gan", "encoder"):
        log = "step,seconds,image,penalty\n10,1.0,5.0,1e9\n20,2.0,nan,-3\n"
        (tmp_path / "logs" / f"{stage}.csv").write_text(log)
    (tmp_path / "logs" / "empty.csv").write_text("")
    pictures = loss_curves(tmp_path)
    assert list(pictures) == ["encoder", "gan"]
    assert all(picture.content.startswith(b"\x89PNG") for picture in pictures.values())
    assert loss_curves(tmp_path / "none") == {}

"""Learning a material: what is chosen, what is left out, and what is refused."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from learned import SHAPE, bundle_of, learned, simulated, with_blot

from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage
from semedge.inference.bundle import frame_sha256
from semedge.inference.detector import Detector
from semedge.inference.feature_manifest import Candidate, FeatureScore
from semedge.inference.network_input import FeatureInput
from semedge.learning import learn as learning
from semedge.learning.learn import features_content, learn
from semedge.learning.options import AUTOMATIC, LearnOptions, parse_options

QUICK = LearnOptions(position="off", even_light="on")


def frame_scores(result: learning.Learned, images: Sequence[GrayImage]) -> list[float]:
    with Detector(bundle_of(result)) as detector:
        return [detector.score(image).frame_score for image in images]


def score_of(result: learning.Learned) -> FeatureScore:
    assert isinstance(result.manifest.score, FeatureScore)
    return result.manifest.score


def test_defects_score_above_normal_frames() -> None:
    normal = simulated(8, 100)
    scores = frame_scores(learned(AUTOMATIC), normal)
    defective = frame_scores(learned(AUTOMATIC), [with_blot(image) for image in normal])
    assert min(defective) > max(scores)


def test_a_score_of_100_is_what_few_normal_cells_reach() -> None:
    with Detector(bundle_of(learned(QUICK))) as detector:
        cells = np.concatenate([detector.score(image).patch_scores for image in simulated(20, 200)])
    assert np.median(cells) == pytest.approx(0, abs=15)
    assert 50 < np.quantile(cells, 0.999) < 130


def test_the_same_frames_give_the_same_bundle() -> None:
    first, second = learn(simulated(4), QUICK), learn(simulated(4), QUICK)
    assert first.contents == second.contents
    assert first.manifest.score == second.manifest.score


def test_the_choice_has_its_reason_and_what_was_tried() -> None:
    choice = learned(AUTOMATIC).manifest.choice
    assert choice is not None
    assert "position is off, since normal frames do not look alike by position" in choice.reason
    assert "even light is" in choice.reason
    names = [each.name for each in choice.candidates]
    assert names == ["even light on, 12 frames", "even light off, 12 frames"]
    assert all(0.4 < each.auroc <= 1 and len(each.kinds) == 7 for each in choice.candidates)


@pytest.mark.parametrize(("with_more_frames", "light"), [(0.75, "on"), (0.85, "off")])
def test_uneven_light_must_be_better_with_more_frames_too(
    monkeypatch: pytest.MonkeyPatch, with_more_frames: float, light: str
) -> None:
    found = {
        **{"even light on, 12 frames": 0.7, "even light off, 12 frames": 0.8},
        **{"even light on, 14 frames": 0.75, "even light off, 14 frames": with_more_frames},
    }
    monkeypatch.setattr(learning, "plant_defects", lambda *_: ())
    monkeypatch.setattr(
        learning,
        "judge_candidate",
        lambda name, *_: Candidate(name=name, auroc=found[name], kinds={}),
    )
    result = learn(simulated(14), LearnOptions(position="off"))
    assert result.manifest.training.options["even_light"] == light
    assert result.manifest.choice is not None
    assert [each.name for each in result.manifest.choice.candidates] == list(found)[2:]


@pytest.mark.parametrize("switch", ["on", "off"])
def test_options_win_over_the_choice(switch: str) -> None:
    options = parse_options(
        [f"position={switch}", f"even-light={switch}", f"fine={switch}", f"gray={switch}"]
    )
    result = learned(options)
    score = score_of(result)
    assert (score.position is not None) == (switch == "on")
    assert (result.manifest.input.scaling == "local") == (switch == "on")
    for name in ("fine", "gray"):
        assert any(each.name == name for each in score.maps) == (switch == "on")
    assert result.manifest.training.options["position"] == switch
    assert result.manifest.choice is not None
    assert result.manifest.choice.candidates == ()


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        (["position"], "NAME=VALUE.*'position'"),
        (["positon=on"], "positon.*position"),
        (["bank=yes"], "bank.*auto, on or off.*'yes'"),
        (["seed=3"], "seed"),
    ],
)
def test_options_that_do_not_exist_are_refused(texts: list[str], named: str) -> None:
    with pytest.raises(SemedgeError, match=named):
        parse_options(texts)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_frames_give_a_detector_without_a_bank(count: int) -> None:
    result = learned(AUTOMATIC, count)
    assert {each.model for each in score_of(result).maps} == {"gaussian"}
    assert score_of(result).position is None
    normal = simulated(4, 300)
    # One small frame shows little of the material, so that other places stand out too.
    assert np.mean(frame_scores(result, [with_blot(image) for image in normal])) > np.mean(
        frame_scores(result, normal)
    )


def test_speed_is_the_magnification() -> None:
    fast = learned(LearnOptions(speed="fast", position="off", even_light="on"), 4)
    assert isinstance(fast.manifest.input, FeatureInput)
    assert fast.manifest.input.magnification == 0.75
    scores = frame_scores(fast, [with_blot(simulated(1)[0]), simulated(1)[0]])
    assert scores[0] > scores[1]


def test_a_defect_among_the_normal_frames_is_named_and_changes_little() -> None:
    clean = list(simulated(30))
    spoilt = [*clean]
    spoilt[17] = with_blot(clean[17], side_px=60)
    result = learn(spoilt, QUICK)
    assert result.outlying == (17,)
    images = simulated(6, 400)
    before, after = frame_scores(learn(clean, QUICK), images), frame_scores(result, images)
    # The frame is missing among the normal ones, no more: kept, it would double the scale.
    assert np.abs(np.subtract(after, before)).max() < 30


def test_frames_of_several_sizes_are_learned_without_positions() -> None:
    frames = [*simulated(6), *simulated(6, 20, (200, 260))]
    result = learn(frames, LearnOptions(even_light="on"))
    assert score_of(result).position is None
    assert result.manifest.choice is not None
    assert "several sizes" in result.manifest.choice.reason
    with pytest.raises(SemedgeError, match=r"several sizes.*192x160.*260x200"):
        learn(frames, LearnOptions(even_light="on", position="on"))


def test_positions_know_what_is_normal_where() -> None:
    random = np.random.default_rng(0)

    def part(ring: bool = True, blot: bool = False) -> GrayImage:
        image = random.normal(90, 4, SHAPE)
        rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
        distance = np.hypot(rows - 80, columns - 60)
        if ring:
            image[(distance > 30) & (distance < 40)] += 90
        if blot:
            image[
                (np.hypot(rows - 80, columns - 150) > 10)
                & (np.hypot(rows - 80, columns - 150) < 20)
            ] += 90
        return np.clip(image, 0, 255).astype(np.uint8)

    frames = [part() for _ in range(14)]
    result = learn(frames, LearnOptions(even_light="on"))
    assert result.manifest.choice is not None
    assert [each.name for each in result.manifest.choice.candidates] == [
        "position on",
        "position off",
    ]
    result = learn(frames, LearnOptions(position="on", even_light="on"))
    normal = frame_scores(result, [part() for _ in range(5)])
    moved = frame_scores(result, [part(blot=True) for _ in range(5)])
    assert min(moved) > max(normal)


def test_frames_of_16_bits_give_the_detector_of_8_bits() -> None:
    eight = learn(simulated(4), QUICK)
    sixteen = learn([image.astype(np.uint16) * 257 for image in simulated(4)], QUICK)
    image = simulated(1, 500)[0]
    # JPEG, which varies frames of 8 bits, does not exist for 16 bits.
    assert frame_scores(sixteen, [image])[0] == pytest.approx(
        frame_scores(eight, [image])[0], abs=25
    )


def test_frames_of_one_gray_are_refused() -> None:
    with pytest.raises(SemedgeError, match="one gray"):
        learn([np.full(SHAPE, 90, np.uint8)] * 4, QUICK)


def test_frames_that_are_all_alike_are_learned() -> None:
    scores = frame_scores(learn([simulated(1)[0]] * 4, QUICK), [simulated(1)[0]])
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("frames", "named"),
    [([], "No normal frame"), ([np.zeros((20, 200), np.uint8)], "32x32 px.*200x20 px")],
)
def test_frames_that_cannot_be_learned_from_are_refused(
    frames: list[GrayImage], named: str
) -> None:
    with pytest.raises(SemedgeError, match=named):
        learn(frames, QUICK)


def test_frames_are_read_one_at_a_time_and_at_most_300() -> None:
    asked: set[int] = set()

    class Reader(Sequence[GrayImage]):
        def __len__(self) -> int:
            return 5000

        def __getitem__(self, index: int) -> GrayImage:  # type: ignore[override]
            asked.add(index)
            return simulated(10, shape=(48, 48))[index % 10]

    learn(
        Reader(), LearnOptions(position="off", even_light="on", bank="off", fine="off", gray="off")
    )
    assert len(asked) == 300
    assert max(asked) == 4999


def test_the_training_frames_are_named_by_their_digests() -> None:
    training = learned(QUICK).manifest.training
    assert set(training.frame_sha256) == {frame_sha256(image) for image in simulated(12)}
    assert training.frames == 12
    assert 0 < training.intensity.standard_deviation < 1


def test_a_damaged_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    content = bytearray(features_content())
    content[1000] ^= 1
    (tmp_path / "data" / "features.tflite").write_bytes(content)
    monkeypatch.setattr(learning, "package_files", lambda package: tmp_path)
    with pytest.raises(SemedgeError, match="damaged"):
        features_content()
    assert importlib.resources.files("semedge").joinpath("data/features.tflite").is_file()


def test_the_bundle_is_small() -> None:
    assert len(learned(AUTOMATIC).bundle_content) < 3_000_000


@pytest.mark.parametrize("position", ["on", "off"])
def test_the_border_of_the_frame_is_no_likelier_to_stand_out(position: str) -> None:
    result = learned(parse_options(["even-light=on", f"position={position}"]), 30)
    zone_px = 24
    inside, peaks = np.zeros(SHAPE, bool), []
    inside[zone_px:-zone_px, zone_px:-zone_px] = True
    with Detector(bundle_of(result)) as detector:
        for image in simulated(120, 1000):
            x, y = detector.score(image).peak_px
            peaks.append(not inside[y, x])
    share = 1 - inside.mean()
    # 99.9 % of a binomial distribution: what chance alone does to uniform peaks.
    deviation = 3.3 * np.sqrt(share * (1 - share) / len(peaks))
    # Cells within 20 px of the border have the score of the nearest cell inside, so that fewer
    # different values lie there.
    assert share / 4 < np.mean(peaks) < share + deviation

"""Each score against its formula, evaluated item by item in double precision."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from semedge.inference.scores import SCORES, tensors_needed, weighted_score
from semedge.inference.scores.distances import Tensor

COUNT = 5
SHAPES = {
    "x": (COUNT, 8, 8, 1),
    "y": (COUNT, 8, 8, 1),
    "d_x": (COUNT, 8, 8, 1),
    "d_y": (COUNT, 8, 8, 1),
    "z": (COUNT, 6),
    "z_y": (COUNT, 6),
    "h_x": (COUNT, 6),
    "h_y": (COUNT, 6),
    "f_x": (COUNT, 9),
    "f_y": (COUNT, 9),
    "f_xx": (COUNT, 3, 3, 4),
    "f_xy": (COUNT, 3, 3, 4),
    "f_xz": (COUNT, 7),
    "f_yz": (COUNT, 7),
    "l_xz": (COUNT, 1),
    "l_xy": (COUNT, 1),
    "f_zz": (COUNT, 7),
    "f_zy": (COUNT, 7),
    "h_mean": (6,),
    "h_whitening": (6, 6),
    "s_means": (3, 5),
    "s_factors": (3, 5, 5),
    "s_weights": (3,),
    "r_means": (3, 6),
    "r_factors": (3, 6, 6),
    "r_weights": (3,),
    "s_mean": (5,),
    "s_whitening": (5, 5),
    "pca_mean": (64,),
    "pca_components": (64, 3),
    "pca_deviations": (3,),
    "dictionary_mean": (16,),
    "dictionary_atoms": (24, 16),
    "c_means": (3, 2),
    "c_factors": (3, 2, 2),
    "c_weights": (3,),
    "n_y": (COUNT, 8, 8, 1),
    "w": (COUNT, 8, 8, 1),
    **{f"f{depth}": (COUNT, 6) for depth in (5, 6, 9, 12)},
    **{f"f{depth}_mean": (6,) for depth in (5, 6, 9, 12)},
    **{f"f{depth}_whitening": (6, 4) for depth in (5, 6, 9, 12)},
    **{f"s{depth}": (COUNT, 4) for depth in (5, 6, 9)},
    **{f"e{depth}_mean": (4,) for depth in (5, 6, 9)},
    **{f"e{depth}_whitening": (4, 4) for depth in (5, 6, 9)},
    "words_mean": (9,),
    "words_projection": (9, 4),
    "words": (7, 4),
}
CONSTANTS = {
    name
    for name in SHAPES
    if name.endswith(("_mean", "_whitening"))
    or name.startswith(("s_", "r_", "pca_", "dictionary_", "c_", "words"))
}


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    rng = np.random.default_rng(7)
    drawn = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    drawn["dictionary_atoms"] /= np.linalg.norm(drawn["dictionary_atoms"], axis=1, keepdims=True)
    return drawn


def pairs(a: Tensor, b: Tensor) -> Iterable[tuple[float, float]]:
    return zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)


def l1(a: Tensor, b: Tensor) -> float:
    return math.fsum(abs(u - v) for u, v in pairs(a, b))


def l2(a: Tensor, b: Tensor) -> float:
    return math.sqrt(math.fsum((u - v) ** 2 for u, v in pairs(a, b)))


def mean_square(a: Tensor, b: Tensor) -> float:
    return l2(a, b) ** 2 / a.size


def whitened_norm(h: Tensor, mean: Tensor, whitening: Tensor) -> float:
    total = 0.0
    for column in range(whitening.shape[1]):
        value = math.fsum(
            (float(h[row]) - float(mean[row])) * float(whitening[row, column])
            for row in range(len(mean))
        )
        total += value * value
    return math.sqrt(total)


FORMULAS: dict[str, tuple[Callable[[Tensor, Tensor], float], str, str]] = {
    "im1": (l2, "x", "y"),
    "im2": (l2, "d_x", "d_y"),
    "energy": (l2, "x", "d_x"),
    "final_1": (l2, "z", "z_y"),
    "final_2": (l2, "z", "h_y"),
    "final_3": (l2, "h_x", "h_y"),
    "feature_energy": (l2, "w", "d_x"),
    "feature_residual": (l2, "w", "y"),
    "denoised": (l2, "x", "n_y"),
    "denoised_l1": (l1, "x", "n_y"),
    "features_xz": (l1, "f_xz", "f_yz"),
    "features_xz_l2": (l2, "f_xz", "f_yz"),
    "features_xx": (l1, "f_xx", "f_xy"),
    "features_zz": (l1, "f_zz", "f_zy"),
    "residual_l1": (l1, "x", "y"),
    "features_l2": (l2, "f_x", "f_y"),
    "latent_l1": (l1, "z", "z_y"),
    "mean_square_residual": (mean_square, "x", "y"),
    "mean_square_features": (mean_square, "f_x", "f_y"),
}
CROSS_ENTROPIES = {
    "cross_entropy_xz": ("l_xz", 1),
    "cross_entropy_xz_flipped": ("l_xz", -1),
    "cross_entropy_xx": ("l_xy", 1),
    "cross_entropy_xx_flipped": ("l_xy", -1),
}
"""Logit of each, and its sign where the pair is real."""


def log(value: float) -> float:
    return math.log(value + 1e-3)


def statistics_of(patch: Tensor) -> list[float]:
    image = patch[..., 0].astype(np.float64)
    middle = image[2:6, 2:6]
    steps = [(np.diff(image, axis=axis) ** 2).mean() for axis in (0, 1)]
    sharpness = math.sqrt(sum(steps))
    return [image.mean(), log(image.std()), log(sharpness), middle.mean(), log(middle.std())]


def minus_log_density(values: list[float], prefix: str, tensors: dict[str, Tensor]) -> float:
    names = (f"{prefix}_means", f"{prefix}_factors", f"{prefix}_weights")
    total = 0.0
    for mean, factor, weight in zip(*(tensors[name] for name in names), strict=True):
        whitened = (np.array(values) - mean) @ factor
        total += math.exp(float(weight) - 0.5 * float(whitened @ whitened))
    return -math.log(total)


def pca_of(patch: Tensor, tensors: dict[str, Tensor]) -> tuple[float, float]:
    """Norm of the residual, and Hotelling's T."""
    centred = patch.ravel().astype(np.float64) - tensors["pca_mean"]
    components = tensors["pca_components"].astype(np.float64)
    projected = np.array([centred @ component for component in components.T])
    left = centred - sum(p * c for p, c in zip(projected, components.T, strict=True))
    return float(np.linalg.norm(left)), float(np.linalg.norm(projected / tensors["pca_deviations"]))


def code_of(patch: Tensor, tensors: dict[str, Tensor]) -> tuple[float, float]:
    """Norm of what the codes of the four 4x4 px parts leave, and the sum of their L1 norms."""
    atoms = tensors["dictionary_atoms"].astype(np.float64)
    left, length = 0.0, 0.0
    for top, column in itertools.product((0, 4), (0, 4)):
        part = patch[top : top + 4, column : column + 4, 0].ravel().astype(np.float64)
        part -= tensors["dictionary_mean"]
        residual, chosen = part, []
        for _ in range(8):
            likeness = [
                -1.0 if index in chosen else abs(atom @ residual)
                for index, atom in enumerate(atoms)
            ]
            chosen.append(int(np.argmax(likeness)))
            code = np.linalg.lstsq(atoms[chosen].T, part, rcond=None)[0]
            residual = part - code @ atoms[chosen]
        left += float(residual @ residual)
        length += float(np.abs(code).sum())
    return math.sqrt(left), length


ITEM_FORMULAS: dict[str, Callable[[Tensor, dict[str, Tensor]], float]] = {
    "mean_gray": lambda x, _: math.fsum(x.ravel().tolist()) / x.size,
    "deviation": lambda x, _: float(x.astype(np.float64).std()),
    "pca_residual": lambda x, tensors: pca_of(x, tensors)[0],
    "pca_hotelling": lambda x, tensors: pca_of(x, tensors)[1],
    "dictionary_residual": lambda x, tensors: code_of(x, tensors)[0],
    "dictionary_l1": lambda x, tensors: code_of(x, tensors)[1],
    "dictionary_surprise": lambda x, tensors: minus_log_density(
        [log(value) for value in code_of(x, tensors)], "c", tensors
    ),
    "statistics_gaussian": lambda x, tensors: whitened_norm(
        np.array(statistics_of(x)), tensors["s_mean"], tensors["s_whitening"]
    ),
    "statistics_surprise": lambda x, tensors: minus_log_density(statistics_of(x), "s", tensors),
}
"""Of scores that see the patch alone."""


def expected(name: str, tensors: dict[str, Tensor]) -> list[float]:
    if name in ITEM_FORMULAS:
        return [ITEM_FORMULAS[name](x, tensors) for x in tensors["x"]]
    if name == "residual_surprise":
        return [
            minus_log_density([*statistics_of(x), log(l2(x, y))], "r", tensors)
            for x, y in zip(tensors["x"], tensors["y"], strict=True)
        ]
    if name == "self_similarity":
        projected = (tensors["f_x"] - tensors["words_mean"]) @ tensors["words_projection"]
        return [
            sum(sorted(l2(values, word) for word in tensors["words"])[:5]) / 5
            for values in projected
        ]
    if name == "embedding_gaussian":
        return [whitened_norm(h, tensors["h_mean"], tensors["h_whitening"]) for h in tensors["h_x"]]
    if name.startswith("texture_"):
        f = f"f{name.removeprefix('texture_')}"
        mean, whitening = tensors[f"{f}_mean"], tensors[f"{f}_whitening"]
        return [
            whitened_norm(item, mean, whitening) ** 2 / whitening.shape[1] for item in tensors[f]
        ]
    if name.startswith("unforeseen_"):
        depth = name.removeprefix("unforeseen_")
        mean, whitening = tensors[f"f{depth}_mean"], tensors[f"f{depth}_whitening"]
        left_over = (tensors[f"f{depth}"] - mean) @ whitening - tensors[f"s{depth}"]
        mean, whitening = tensors[f"e{depth}_mean"], tensors[f"e{depth}_whitening"]
        return [whitened_norm(item, mean, whitening) ** 2 / len(mean) for item in left_over]
    if name == "feature_norm":
        return [l2(item, np.zeros_like(item)) for item in tensors["w"]]
    if name in CROSS_ENTROPIES:
        logits, sign = CROSS_ENTROPIES[name]
        return [-math.log(1 / (1 + math.exp(-sign * value))) for value in tensors[logits][:, 0]]
    distance, first, second = FORMULAS[name]
    return [distance(a, b) for a, b in zip(tensors[first], tensors[second], strict=True)]


@pytest.mark.parametrize("name", sorted(SCORES))
def test_score_is_its_formula(name: str, tensors: dict[str, Tensor]) -> None:
    scores = weighted_score({name: 1.0}, tensors)
    assert scores.shape == (COUNT,)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected(name, tensors), rtol=1e-4)


@pytest.mark.parametrize("name", sorted(SCORES))
def test_score_of_an_item_does_not_depend_on_the_others(
    name: str, tensors: dict[str, Tensor]
) -> None:
    whole = weighted_score({name: 1.0}, tensors)
    for item in range(COUNT):
        alone = {
            key: value if key in CONSTANTS else value[item : item + 1]
            for key, value in tensors.items()
        }
        np.testing.assert_allclose(weighted_score({name: 1.0}, alone), whole[item], rtol=1e-5)


def test_weights_add_up(tensors: dict[str, Tensor]) -> None:
    weights = {"im1": 0.9, "final_3": 0.1, "im2": -2.0}
    total = [
        sum(weight * value for weight, value in zip(weights.values(), terms, strict=True))
        for terms in zip(*(expected(name, tensors) for name in weights), strict=True)
    ]
    np.testing.assert_allclose(weighted_score(weights, tensors), total, rtol=1e-4, atol=1e-5)


def test_gaussian_of_the_mean_is_zero_and_of_one_deviation_is_one() -> None:
    rng = np.random.default_rng(1)
    embeddings = rng.normal(size=(400, 3)) @ np.diag([1.0, 5.0, 0.2]) + [1.0, -2.0, 3.0]
    mean = embeddings.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(embeddings, rowvar=False))
    points = np.stack([mean, *(mean + np.sqrt(values)[:, None] * vectors.T)])
    scores = weighted_score(
        {"embedding_gaussian": 1.0},
        {
            "h_x": points.astype(np.float32),
            "h_mean": mean.astype(np.float32),
            "h_whitening": (vectors / np.sqrt(values)).astype(np.float32),
        },
    )
    np.testing.assert_allclose(scores, [0, 1, 1, 1], atol=1e-4)


@pytest.mark.parametrize(
    ("names", "needed"),
    [
        ([], set()),
        (["im1"], {"x", "y"}),
        (["final_2", "final_3"], {"z", "h_x", "h_y"}),
        (["embedding_gaussian"], {"h_x", "h_mean", "h_whitening"}),
    ],
)
def test_tensors_needed(names: list[str], needed: set[str]) -> None:
    assert tensors_needed(names) == needed

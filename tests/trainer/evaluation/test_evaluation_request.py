"""Folders and requests that cannot be evaluated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bundles import FRAME_SHAPE
from evaluated import Evaluate, Folders

from semedge.core.errors import SemedgeError
from semedge_trainer.evaluation.protocols import ThesisProtocol
from semedge_trainer.evaluation.request import (
    SEARCHED_PATCHES,
    ConflictingOptionsError,
    EvaluationRequest,
)


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
    evaluate: Evaluate, folders: Folders, spoil: Callable[[Folders], None], sentence: str
) -> None:
    spoil(folders)
    called = evaluate()
    assert called.status == 1
    assert called.out == ""
    assert sentence in called.err
    assert len(called.err.splitlines()) == 1


def test_small_patches_are_refused_by_the_thesis_protocol() -> None:
    with pytest.raises(SemedgeError, match=r"16 px.* 8 px"):
        ThesisProtocol().grid((100, 100), 8)


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["--score", "im7"], 1, "has no score 'im7'; it has gaussian, doubled"),
        (["--score", "doubled", "--all-scores"], 2, "not both"),
        (["--score", "double"], 1, "did you mean doubled?"),
        (["--protocol", "thesis", "--stride", "16"], 2, "needs the pixel protocol"),
        (["--run", "run"], 2, "--detector or --run, not both"),
        (["--patches", "9", "--fields", "64x64"], 2, "sample of patches has no pixel protocol"),
        (["--fields", "64"], 1, "must read WIDTHxHEIGHT"),
        (["--stride", "40"], 1, "stride_px must be between 1 and the patch side"),
    ],
)
def test_wrong_requests(
    evaluate: Evaluate, arguments: list[str], status: int, sentence: str
) -> None:
    called = evaluate(*arguments)
    assert called.status == status
    assert sentence in called.err


@pytest.mark.parametrize(
    "options",
    [
        {"run": Path("run"), "detector": Path("d.semedge")},
        {"run": Path("run"), "calibration": Path("c.json")},
        {"run": Path("run"), "protocol": "pixel"},
        {"mixed_precision": True},
        {"run": Path("run"), "normal_images": Path("normal")},
        {"scores": ("im1",), "all_scores": True},
        {"protocol": "thesis", "stride_px": 16},
        {"patches": 9, "protocol": "both"},
        {"patches": 9, "fields_px": (64, 64)},
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConflictingOptionsError):
        EvaluationRequest(Path("images"), Path("masks"), **options)


@pytest.mark.parametrize(
    ("options", "protocol", "patches"),
    [
        ({}, "both", None),
        ({"patches": 9}, "thesis", 9),
        ({"run": Path("run")}, "thesis", SEARCHED_PATCHES),
        ({"run": Path("run"), "patches": 9}, "thesis", 9),
        ({"protocol": "pixel", "stride_px": 8}, "pixel", None),
    ],
)
def test_a_request_measures_what_can_be_measured(
    options: dict[str, Any], protocol: str, patches: int | None
) -> None:
    request = EvaluationRequest(Path("images"), Path("masks"), **options)
    assert (request.protocol_measured, request.patches_measured) == (protocol, patches)

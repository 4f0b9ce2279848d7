"""The seeds that `semedge ablate` is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from ablations import arguments, finish, make_frames, planned
from click.testing import CliRunner, Result

from semedge_trainer.ablation.plan import AblationRequest
from semedge_trainer.commands.ablate import ablate


def invoked(folder: Path, *more: str) -> Result:
    return CliRunner().invoke(ablate, [*map(str, arguments(folder)[1:]), *more])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), [0]),
        (("--seeds", "1"), [1]),
        (("--seeds", "0,1,1"), [0, 1]),
        (("--seeds", "anogan=0,2"), [0, 2]),
        (("--seeds", "anogan=3", "--seeds", "0,1"), [3]),
        (("--seeds", "5", "--seeds", " anogan = 4 "), [4]),
    ],
)
def test_a_detector_has_the_seeds_that_name_it_or_the_others(
    tmp_path: Path, options: tuple[str, ...], expected: list[int]
) -> None:
    request = make_frames(tmp_path)
    asked = AblationRequest(**{**vars(request), "seeds": {"anogan": expected}})
    finish(tmp_path / "out", planned(asked), missing=None)
    done = invoked(tmp_path, *options)
    assert done.exit_code == 0, done.output
    several = f"seeds {expected[0]}, {expected[-1]}" if len(expected) > 1 else f"seed {expected[0]}"
    assert f"- anogan: {several}; score inversion" in done.stdout


@pytest.mark.parametrize(
    ("seeds", "why"),
    [
        ("", "must read such as 0,1 or bigan=0,1. Received: ''"),
        ("0;1", "Received: '0;1'"),
        ("anogan=", "Received: 'anogan='"),
        ("anogan:1", "Received: 'anogan:1'"),
        ("anogan=0,-1", "must not be negative. Received: 'anogan=0,-1'"),
        ("=0", "not among --detectors (anogan). Received: ''"),
        ("bigan=0", "not among --detectors (anogan). Received: 'bigan'"),
    ],
)
def test_seeds_that_cannot_be_are_refused(tmp_path: Path, seeds: str, why: str) -> None:
    make_frames(tmp_path)
    done = invoked(tmp_path, "--seeds", seeds)
    assert done.exit_code == 2
    assert why in " ".join(done.stderr.replace("│", " ").split())
    assert not (tmp_path / "out").exists()

"""A camera judges where its challenge set was passed with exactly its active setup."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from station_support import LEVELS, active_setup_of

from semedge.decision.defect import Levels
from semedge.journal.journal import Journal
from semedge.state.state import StationState
from semedge.station.qualification import Qualification, record_challenge

SETUP = active_setup_of(LEVELS)
MOVED = replace(SETUP, levels=Levels(alarm=50.0))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite") as opened:
        yield opened


def test_a_camera_is_qualified_with_the_setup_that_passed_and_no_other(journal: Journal) -> None:
    state = StationState("line 1", ["left", "right"])
    qualification = Qualification(journal, state, required=True)
    qualification.refresh({"left": SETUP, "right": SETUP})
    assert not qualification.covers("left", SETUP)
    assert not state.snapshot().qualified
    record_challenge(journal, "left", SETUP, passed=True)
    qualification.refresh({"left": SETUP, "right": SETUP})
    assert qualification.covers("left", SETUP)
    assert not qualification.covers("left", MOVED)
    assert not qualification.covers("right", SETUP)
    assert not state.snapshot().qualified
    record_challenge(journal, "right", SETUP, passed=True)
    qualification.refresh({"left": SETUP, "right": SETUP})
    assert state.snapshot().qualified


@pytest.mark.parametrize(("failed", "stays"), [(SETUP, False), (MOVED, True)])
def test_a_failure_revokes_the_same_setup_alone(
    journal: Journal, failed: object, stays: bool
) -> None:
    qualification = Qualification(journal, StationState("line 1", ["left"]), required=True)
    record_challenge(journal, "left", SETUP, passed=True)
    record_challenge(journal, "left", failed, passed=False)  # type: ignore[arg-type]
    qualification.refresh({"left": SETUP})
    assert qualification.covers("left", SETUP) == stays


def test_where_no_check_is_required_every_camera_may_judge(journal: Journal) -> None:
    state = StationState("line 1", ["left"])
    qualification = Qualification(journal, state, required=False)
    qualification.refresh({"left": SETUP})
    assert qualification.covers("left", SETUP)
    assert state.snapshot().qualified

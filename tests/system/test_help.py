"""`semedge --help` answers at once."""

from __future__ import annotations

import resource
import statistics
from pathlib import Path

import pytest
from commandline import succeed, succeed_probed

RUNS = 5
LONGEST_S = 0.3
HEAVY = {"numpy", "cv2", "tensorflow", "keras", "pydantic", "rich", "ai_edge_litert"}


def cpu_s() -> float:
    """Processor time of every process that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_help_takes_less_than_a_third_of_a_second(tmp_path: Path) -> None:
    spent_s = []
    for _ in range(RUNS):
        before_s = cpu_s()
        assert "watch" in succeed(tmp_path, "--help").out
        spent_s.append(cpu_s() - before_s)
    assert statistics.median(spent_s) < LONGEST_S


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_imports_nothing_heavy(tmp_path: Path, argument: str) -> None:
    packages = succeed_probed(tmp_path, argument).packages
    assert "click" in packages
    assert not packages & HEAVY

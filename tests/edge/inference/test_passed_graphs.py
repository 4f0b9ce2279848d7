"""A check of graphs that was passed is remembered for the next start, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bundles import tiny_bundle

from semedge.inference import graph_check, passed_graphs
from semedge.inference.bundle import read_bundle
from semedge.inference.graph_check import check_graphs
from semedge.inference.passed_graphs import PassedGraphs, check_digest

SHA256 = "a" * 64


@pytest.fixture
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], int]:
    """The number of child processes that check a bundle in a process that begins with a file."""
    bundle = read_bundle(tiny_bundle(tmp_path / "tiny.semedge"))
    children: list[str] = []
    monkeypatch.setattr(graph_check, "_run_child", lambda name, *rest: children.append(name))

    def number(path: Path) -> int:
        monkeypatch.setattr(graph_check, "PASSED", PassedGraphs())
        children.clear()
        with graph_check.PASSED.remembered_in(path):
            check_graphs(bundle)
            check_graphs(bundle)
        return len(children)

    return number


def test_the_next_start_does_not_check_again(checks: Callable[[Path], int], tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite.graphs"
    assert [checks(path), checks(path)] == [1, 0]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-7]),
        lambda path: path.write_bytes(b"\xff" + path.read_bytes()),
        lambda path: path.write_bytes(path.read_bytes() * 200),
        lambda path: path.chmod(0o666),
        lambda path: (path.rename(path.with_name("real")), path.symlink_to("real")),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["cut", "damaged", "too large", "others write", "link", "folder"],
)
def test_a_file_that_cannot_be_trusted_is_not(
    checks: Callable[[Path], int], tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    path = tmp_path / "j.sqlite.graphs"
    checks(path)
    spoil(path)
    assert checks(path) == 1


def test_a_file_that_cannot_be_written_only_costs_time(
    checks: Callable[[Path], int], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert [checks(tmp_path / "file" / "graphs") for _ in range(2)] == [1, 1]


def test_a_check_is_of_everything_that_it_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {
        check_digest(SHA256, None, ()),
        check_digest("b" * 64, None, ()),
        check_digest(SHA256, 8, ()),
        check_digest(SHA256, None, (64, 80)),
    }
    monkeypatch.setattr(passed_graphs, "CHECK_VERSION", passed_graphs.CHECK_VERSION + 1)
    digests.add(check_digest(SHA256, None, ()))
    monkeypatch.setattr(passed_graphs, "version", lambda package: "0.0")
    digests.add(check_digest(SHA256, None, ()))
    assert len(digests) == 6


def test_the_oldest_checks_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "graphs"
    passed = PassedGraphs()
    digests = [f"{number:064x}" for number in range(passed_graphs.MOST_DIGESTS + 1)]
    with passed.remembered_in(path):
        for digest in digests:
            passed.add(digest)
    assert path.read_text().splitlines() == digests[1:]
    again = PassedGraphs()
    with again.remembered_in(path):
        assert digests[1] in again
        assert digests[0] not in again

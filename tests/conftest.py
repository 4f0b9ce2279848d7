"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os

# As the commands do, before NumPy is imported: OpenBLAS's threads spin while they wait, and take
# the cores of the tests beside.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commandcall import Call, Result
from hypothesis import settings

from semedge.cli import main
from semedge.core.logs import write_text

# A busy machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def fault_in_the_report(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    """Names in pytest's report the fault that a test is about."""
    marker = request.node.get_closest_marker("fault")
    if marker is not None:
        record_property("fault", marker.args[0].name)


@pytest.fixture(autouse=True)
def text_on_stderr() -> None:
    """Messages come to stderr in every test as the command line writes them."""
    write_text()


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """Folder of the real SEM images: `$SEMEDGE_DATA`, or `../shared/data` beside the project."""
    folder = Path(os.environ.get("SEMEDGE_DATA", SHARED_DATA))
    if not folder.is_dir():
        pytest.skip(
            f"no real images: {folder} is not a folder; set SEMEDGE_DATA to the folder that holds "
            "nanotwice/"
        )
    return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that modules and packages are found in."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if (folder / f"{name}.py").exists():
            del sys.modules[name]


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Calls the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        monkeypatch.setattr("sys.argv", ["semedge", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        assert "Traceback" not in captured.err
        return Result(ended.value.code, captured.out, captured.err)

    return run

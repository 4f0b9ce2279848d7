"""`semedge cameras`: what is connected, what to install, and nothing that hangs or crashes it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from semedge.cameras.discovery import WAYS, list_cameras
from semedge.cameras.v4l2 import list_devices
from semedge.commands.cameras import cameras

pytestmark = pytest.mark.alone

TIMEOUT_S = 30.0
HANG_S = 7.0


def put_first(folder: Path, monkeypatch: pytest.MonkeyPatch, **modules: str) -> None:
    """Let processes import modules of ours in place of libraries."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_every_way_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    genicam = pytest.importorskip("genicam", reason="pip install 'semedge[genicam]'")
    pytest.importorskip("pypylon", reason="pip install 'semedge[pylon]'")
    monkeypatch.setenv("PYLON_CAMEMU", "1")
    producer = Path(genicam.__file__).with_name("viky.cti")
    result = CliRunner().invoke(
        cameras, ["--json", "--timeout-s", str(TIMEOUT_S), "--producer", str(producer)]
    )
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    ways = {each["way"]: each for each in document["ways"]}
    assert tuple(ways) == WAYS
    assert [each["source"] for each in ways["pylon"]["devices"]] == ["pylon:0815-0000"]
    assert ways["genicam"]["devices"][2] == {
        "source": f"genicam:{producer}#2",
        "vendor": "Machine Vision Games Ltd.",
        "model": "Viky",
        "serial": "2",
    }
    assert ways["v4l2"]["installed"]


def test_what_is_not_installed_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = "raise ModuleNotFoundError(name=__name__)"
    put_first(tmp_path, monkeypatch, genicam=absent, pypylon=absent, gi=absent)
    result = CliRunner().invoke(cameras, ["--timeout-s", str(TIMEOUT_S)])
    assert result.exit_code == 0
    assert "pip install 'semedge[genicam]'" in result.stderr
    assert "pip install 'semedge[pylon]'" in result.stderr
    assert "pip install 'semedge[aravis]'" in result.stderr
    assert "apt-get install gir1.2-aravis-0.8" in result.stderr


def test_a_library_that_hangs_crashes_or_raises_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_first(
        tmp_path,
        monkeypatch,
        genicam="import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
        pypylon="import time\nprint('noise')\ntime.sleep(600)",
        gi="raise RuntimeError('no bus')",
    )
    began_s = time.monotonic()
    found = {each.way: each for each in list_cameras(HANG_S)}
    assert time.monotonic() - began_s < HANG_S + 3.0
    assert "exit status -11" in found["genicam"].problem
    assert " 7 s" in found["pylon"].problem
    assert "no bus" in found["aravis"].problem
    assert found["v4l2"].problem == ""


def test_no_process_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def record(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", record)
    put_first(tmp_path, monkeypatch, pypylon="import time\ntime.sleep(600)")
    list_cameras(0.5)
    assert len(started) == len(WAYS)
    for process in started:
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)


def test_devices_of_the_kernel(tmp_path: Path) -> None:
    for node, name, index in (
        ("video10", "Second", "0"),
        ("video0", "USB microscope", "0"),
        ("video1", "USB microscope", "1"),
    ):
        (tmp_path / node).mkdir()
        (tmp_path / node / "name").write_text(f"{name}\n")
        (tmp_path / node / "index").write_text(f"{index}\n")
    assert [(each.source, each.model) for each in list_devices(tmp_path)] == [
        ("/dev/video0", "USB microscope"),
        ("/dev/video10", "Second"),
    ]
    assert list_devices(tmp_path / "absent") == []

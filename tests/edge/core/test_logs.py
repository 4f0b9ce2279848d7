"""Structured logs: every line of stderr is a JSON document."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

from semedge.core.logs import LibraryLimit, TextFormatter
from semedge.core.timing import utc_seconds


def lines_of(*arguments: str, cwd: Path, program: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    result = subprocess.run(
        [sys.executable, *(program or ("-m", "semedge", "--log", "json")), *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    documents = [json.loads(line) for line in result.stderr.splitlines()]
    for document in documents:
        assert list(document) == ["time", "level", "event", "message"]
        assert document["level"] in ("info", "warning", "error")
        assert utc_seconds(document["time"]) > 1.7e9
    return documents


def test_a_watch(tmp_path: Path, tiny_file: Path, calibration_file: Path, images: Path) -> None:
    logged = lines_of(
        *("watch", "--camera", str(images), "--detector", str(tiny_file)),
        *("--calibration", str(calibration_file)),
        cwd=tmp_path,
    )
    messages = [each["message"] for each in logged]
    assert any(message.startswith("Watching ") for message in messages)
    assert any("broken.png" in message for message in messages)


def test_a_mistake(tmp_path: Path) -> None:
    (error,) = lines_of("inspect", "missing.semedge", cwd=tmp_path)
    assert (error["level"], error["event"]) == ("error", "failed")
    assert "missing.semedge" in error["message"]


FAULTS = """
import logging, sys, threading, warnings
from semedge.core.logs import write_json_lines
write_json_lines()
logging.getLogger("asyncua.server").warning("A client %s left", 7)
logging.getLogger("asyncua.server").info("not logged")
warnings.warn("Soon gone", DeprecationWarning, stacklevel=1)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise RuntimeError("broken")
"""


def test_libraries_and_faults(tmp_path: Path) -> None:
    library, warned, thread, fault = lines_of(cwd=tmp_path, program=("-c", FAULTS))
    assert (library["level"], library["event"]) == ("warning", "library:asyncua.server")
    assert library["message"] == "A client 7 left"
    assert "Soon gone" in warned["message"]
    assert "ZeroDivisionError" in thread["message"]
    assert (fault["level"], fault["event"]) == ("error", "fault")
    assert "RuntimeError: broken" in fault["message"]


def test_a_library_that_floods_the_log_is_cut_short() -> None:
    limit = LibraryLimit()

    def record(name: str, number: int) -> logging.LogRecord:
        return logging.LogRecord(name, logging.ERROR, "", 0, f"message {number}", (), None)

    records = [record("asyncio", number) for number in range(1000)]
    passed = [each for each in records if limit.filter(each)]
    assert len(passed) == 10
    assert "left out" in passed[-1].getMessage()
    assert limit.filter(record("paho", 0)), "each library has its own limit"
    assert all(limit.filter(record("semedge.station", number)) for number in range(1000))


def test_control_characters_are_escaped() -> None:
    record = logging.LogRecord(
        "semedge.x", logging.INFO, "", 0, "file \x1b[2J\r\x9b.png\nsecond é line", (), None
    )
    assert TextFormatter().format(record) == "file \\x1b[2J\\r\\x9b.png\nsecond é line"


def test_a_library_that_sets_the_root_logger_up_repeats_no_message(tmp_path: Path) -> None:
    code = (
        "import logging, sys; logging.basicConfig(level='INFO'); from semedge.cli import main;"
        "sys.argv = ['semedge', 'init']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr.splitlines() == [
        "Wrote semedge.toml. Next: semedge watch --station semedge.toml"
    ]

"""The picture of the live page in README.md: `page_picture.py FILE.png`, in about a minute."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS)]

from chromium import chromium  # noqa: E402
from processes import free_port, process  # noqa: E402

SEMEDGE = (sys.executable, "-m", "semedge")
SIZE = {"width": 1280, "height": 900}
WATCHED_S = 40
STATION = """
[station]
name = "Fibre line 1"
[camera]
source = "sim:3002?defects=0.06&rate=3&size=256x256"
[detector]
stride_px = 32
[calibration]
file = "fibre.json"
[journal]
file = "journal.sqlite"
pictures = "pictures"
[web]
port = {port}
"""


def take(file: Path, folder: Path) -> None:
    """Watch a simulated line with the demo detector, and write what a browser shows of it."""
    port, station = free_port(), folder / "semedge.toml"
    station.write_text(STATION.format(port=port))
    subprocess.run(
        [
            *(*SEMEDGE, "calibrate", "--images", "sim:3001?size=256x256&frames=60", "--stride"),
            *("32", "--false-alarm-rate", "0.05", "--out", str(folder / "fibre.json")),
        ],
        stdin=subprocess.DEVNULL,
        timeout=200,
        check=True,
    )
    argv = [*SEMEDGE, "watch", "--station", str(station)]
    with process(argv, folder / "log", port, within_s=60), chromium() as browser:
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        page.goto(f"http://127.0.0.1:{port}/", wait_until="domcontentloaded")
        page.wait_for_selector("#live:not([hidden])")
        page.wait_for_timeout(WATCHED_S * 1000)
        page.screenshot(path=file, full_page=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        take(Path(sys.argv[1]), Path(name))

"""A watch fits beside the other programs of a small computer."""

from __future__ import annotations

from pathlib import Path

from commandline import succeed_probed

LARGEST_BYTES = 250_000_000


def test_watch_stays_under_250_mb(tmp_path: Path, demo_calibration: Path) -> None:
    """Large frames, most of them alerts with pictures."""
    used = succeed_probed(
        tmp_path,
        *("watch", "--camera", "sim:4?size=1024x700&defects=1&frames=30", "--stride", 32),
        *("--calibration", demo_calibration),
    )
    assert len(list(tmp_path.rglob("*-overlay.png"))) > 0
    assert used.peak_bytes < LARGEST_BYTES

"""Cameras with a Linux driver, such as `/dev/video0`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from semedge.cameras.device import Device

CLASS = Path("/sys/class/video4linux")
"""The folder where the kernel lists them."""


def load_library() -> None:
    """Do nothing: Linux needs no library."""


def list_devices(root: Path = CLASS) -> list[Device]:
    """Devices that give pictures; nodes of metadata are left out."""
    return list(_devices(root))


def _devices(root: Path) -> Iterator[Device]:
    nodes = root.glob("video*") if root.is_dir() else ()
    for node in sorted(nodes, key=lambda each: (len(each.name), each.name)):
        if _text(node / "index") in ("", "0"):
            yield Device(f"/dev/{node.name}", "", _text(node / "name"), "")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""

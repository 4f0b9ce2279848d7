"""Fixtures of the edge's tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from bundles import normal_frames, tiny_bundle, tiny_calibration, with_film
from camera_servers import Server, skip_without_rtsp


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny detector bundle."""
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny.semedge")


@pytest.fixture(scope="session")
def calibration_file(tmp_path_factory: pytest.TempPathFactory, tiny_file: Path) -> Path:
    """A calibration of the tiny detector."""
    return tiny_calibration(tmp_path_factory.mktemp("calibration") / "tiny.json", tiny_file)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder: two normal frames, one with a film between them, and a file that is no image."""
    folder = tmp_path / "images"
    folder.mkdir()
    normal = normal_frames()
    for name, image in (("1", normal[0]), ("2", with_film(normal[1])), ("10", normal[2])):
        cv2.imwrite(str(folder / f"frame{name}.png"), image)
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 6 MB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=10)


@pytest.fixture(scope="session")
def rtsp_available() -> None:
    """Skips where the system's Python cannot serve RTSP."""
    skip_without_rtsp()


@pytest.fixture
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts cameras' servers, which end with the test."""
    servers: list[Server] = []

    def start(kind: str, credentials: str = "", folder: Path | str | None = None) -> Server:
        if kind == "rtsp":
            request.getfixturevalue("rtsp_available")
        servers.append(Server(kind, tmp_path / f"server{len(servers)}.log", credentials, folder))
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.kill()

"""Real cameras' servers in processes of their own, which can stop, die and come back."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import free_port

HERE = Path(__file__).parent
SYSTEM_PYTHON = "/usr/bin/python3"
START_TIMEOUT_S = 30.0


class Server:
    """The server of a camera that streams by `kind`: `mjpeg` or `rtsp`.

    `option` is the folder of the pictures, or `udp`.
    """

    def __init__(self, kind: str, log: Path, credentials: str = "", option: object = None) -> None:
        self.port = free_port()
        user = f"{credentials}@" if credentials else ""
        host = f"{user}127.0.0.1:{self.port}"
        self.address = f"rtsp://{host}/line" if kind == "rtsp" else f"http://{host}/"
        python = SYSTEM_PYTHON if kind == "rtsp" else sys.executable
        self._command = [python, str(HERE / f"{kind}_server.py"), str(self.port), credentials]
        if option is not None:
            self._command.append(str(option))
        self._log = log
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline_s:
                    self.kill()
                    pytest.fail(f"{self._command} does not serve: {self._log.read_text()}")
                time.sleep(0.05)

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)


def skip_without_rtsp() -> None:
    """Skip where the system's Python cannot serve RTSP."""
    packages = "gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,ugly} python3-gi"
    remedy = f"no RTSP server for tests; apt-get install -y {packages}"
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip(f"{remedy} (and {SYSTEM_PYTHON})")
    check = subprocess.run(
        [SYSTEM_PYTHON, str(HERE / "rtsp_server.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if check.returncode != 0:
        pytest.skip(f"{remedy} ({check.stderr.strip().splitlines()[-1]})")

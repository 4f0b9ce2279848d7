"""Requests to a running station by its page, which its certificate alone authenticates."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from page_support import TOKEN, page_station
from processes import free_port, process, python
from sinks_support import certificates

from semedge.core.errors import SemedgeError
from semedge.core.section import Secret
from semedge.web.client import send_request
from semedge.web.section import WebSection

REQUEST = {"action": "recipe", "recipe": "tile", "who": "R. Weiss"}


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_TOKEN", TOKEN)


def section(port: int, **settings: object) -> WebSection:
    return WebSection.model_validate({"port": port, "token": Secret(env="PAGE_TOKEN"), **settings})


def test_a_station_that_listens_everywhere_is_reached_on_this_machine(tmp_path: Path) -> None:
    with page_station(tmp_path, host="0.0.0.0") as station:
        web = section(int(urlsplit(station.address).port or 0), host="0.0.0.0")
        assert send_request(web, REQUEST) == "Camera top inspects by recipe tile."
        assert station.control.requests == [("recipe", "top", "tile", "page: R. Weiss")]
        with pytest.raises(SemedgeError, match="damaged"):
            send_request(web, {**REQUEST, "recipe": "broken"})


def test_over_https_no_other_station_gets_the_token(tmp_path: Path) -> None:
    folders = tmp_path / "own", tmp_path / "other"
    for folder in folders:
        folder.mkdir()
    (_, key, own), (_, _, other) = (certificates(folder) for folder in folders)
    with page_station(tmp_path, certificate=own, private_key=key) as station:
        port = int(urlsplit(station.address).port or 0)
        message = send_request(section(port, certificate=own), REQUEST)
        assert message == "Camera top inspects by recipe tile."
        with pytest.raises(SemedgeError, match=r"https://127\.0\.0\.1:\d+ \(.*CERTIFICATE_VERIFY"):
            send_request(section(port, certificate=other), REQUEST)
        assert len(station.control.requests) == 1


def test_what_is_no_station_is_reported(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(SemedgeError, match=rf"http://127\.0\.0\.1:{port} "):
        send_request(section(port), REQUEST)
    with pytest.raises(SemedgeError, match=r"web\.token"):
        send_request(section(port, token=None), REQUEST)
    for status, reason in ((200, "http://127.0.0.1:"), (500, r"\b500\b")):
        port = free_port()
        argv = python("webhook_server.py", port, tmp_path / "requests", status)
        with (
            process(argv, tmp_path / "log", port),
            pytest.raises(SemedgeError, match=reason),
        ):
            send_request(section(port), REQUEST)

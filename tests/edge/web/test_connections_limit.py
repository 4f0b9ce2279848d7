"""A crowd of half-sent requests, and a guesser of tokens, cost the station nothing."""

from __future__ import annotations

import re
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from faults import Fault
from page_support import TOKEN, PageStation, page_station
from scripted import wait_until
from sinks_support import certificates

from semedge.web import access, connections, listener
from semedge.web.listener import ConnectionLimits


@contextmanager
def descriptors(most: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def connect(station: PageStation) -> socket.socket:
    parts = urlsplit(station.address)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)), 5)


def is_open(connection: socket.socket) -> bool:
    """Whether the server has neither answered nor hung up."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@pytest.mark.fault(Fault.FLOOD)
def test_half_sent_requests_are_closed_and_leave_descriptors_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT_S", 3.0)
    with descriptors(400), page_station(tmp_path) as started, descriptors(2000):
        crowd: list[socket.socket] = []
        try:
            for _ in range(500):
                crowd.append(connect(started))
                crowd[-1].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            wait_until(lambda: started.server._page.limits.refused >= 300)
            assert sum(map(is_open, crowd)) <= 200, "one half of the descriptors is the page's"
            began_s = time.monotonic()
            wait_until(lambda: not any(map(is_open, crowd)), 15)
            assert time.monotonic() - began_s < 10
            assert httpx.get(f"{started.address}healthz").status_code == 200
        finally:
            for each in crowd:
                each.close()


@pytest.mark.fault(Fault.FLOOD)
def test_stalled_tls_handshakes_are_counted_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_TIMEOUT_S", 2.0)
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 20)
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority, key, certificate = certificates(folder)
    with page_station(tmp_path, certificate=certificate, private_key=key) as started:
        crowd = [connect(started) for _ in range(30)]
        try:
            for each in crowd[:15]:
                # The first bytes of a handshake that never goes on.
                each.sendall(b"\x16\x03\x01\x02\x00\x01")
            wait_until(lambda: started.server._page.limits.refused == 10)
            began_s = time.monotonic()
            wait_until(lambda: not any(map(is_open, crowd)), 15)
            assert time.monotonic() - began_s < 6
            context = ssl.create_default_context(cafile=str(authority))
            answer = httpx.get(f"{started.address}healthz", verify=context)
            assert answer.status_code == 200
            wait_until(lambda: not started.server._page.limits.open)
        finally:
            for each in crowd:
                each.close()


@pytest.mark.fault(Fault.FLOOD)
def test_a_request_that_trickles_is_ended_and_an_idle_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT_S", 1.0)
    with page_station(tmp_path) as started:
        trickling, body, second = connect(started), connect(started), connect(started)
        trickling.sendall(b"GET / HTTP/1.1\r\n")
        body.sendall(
            b"POST /api/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
            + f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
            + b"x"
        )
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in second.recv(1000)
        time.sleep(0.1)
        second.setblocking(False)
        second.sendall(b"GET /healthz HTTP/1.1\r\n")
        began_s = time.monotonic()
        with trickling, body, second:
            while any(map(is_open, (trickling, body, second))):
                assert time.monotonic() - began_s < 5
                time.sleep(0.2)
                try:
                    trickling.sendall(b"X: y\r\n")
                except OSError:
                    continue


def test_one_address_takes_not_all_connections_but_a_proxy_of_this_machine_may() -> None:
    limits = ConnectionLimits()
    taken = sum(limits.take("192.0.2.1") for _ in range(1000))
    assert taken <= listener.MOST_OF_ONE_ADDRESS
    assert limits.take("192.0.2.2")
    limits.release("192.0.2.2")
    for _ in range(taken):
        limits.release("192.0.2.1")
    assert sum(limits.take("127.0.0.1") for _ in range(1000)) >= taken


@pytest.mark.fault(Fault.FLOOD)
def test_guesses_of_the_token_are_throttled_counted_and_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with page_station(tmp_path) as started:
        address = f"{started.address}api/token"
        statuses = [
            httpx.post(address, headers={"Authorization": f"Bearer guess{number}"}).status_code
            for number in range(25)
        ]
        assert statuses == [401] * access.MOST_WRONG + [429] * (25 - access.MOST_WRONG)
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.post(address, headers=right).status_code == 429
        wait_until(lambda: ("token-refused", "page: 127.0.0.1") in started.control.requests)
        assert started.control.requests.count(("token-refused", "page: 127.0.0.1")) == 1
        metrics = httpx.get(f"{started.address}metrics").text
        assert re.search(r"semedge_page_tokens_refused_total 20\.0", metrics)
        monkeypatch.setattr(access, "WINDOW_S", 0.0)
        assert httpx.post(address, headers=right).status_code == 200


def test_an_operator_acknowledges_and_marks_and_no_more(tmp_path: Path) -> None:
    with page_station(tmp_path, operator="operator's word") as started:
        headers = {"Authorization": "Bearer operator's word"}
        event = started.raise_event(started.inspect(13.0))
        ask = f"{started.address}api/ask"
        seen = {"action": "acknowledge", "event_id": event.event_id}
        assert httpx.post(ask, json=seen, headers=headers).status_code == 200
        marked = {"action": "mark", "event_id": event.event_id, "mark": "false-alarm"}
        assert httpx.post(ask, json=marked, headers=headers).status_code == 200
        for request in (
            {"action": "levels", "alarm": 13.0},
            {"action": "recipe", "recipe": "tile"},
            {"action": "erase"},
        ):
            answer = httpx.post(ask, json=request, headers=headers)
            assert answer.status_code == 403
            assert "operator" in answer.json()["detail"]
        answer = httpx.post(f"{started.address}api/token", headers=headers)
        assert answer.json()["role"] == "operator"


def test_with_a_viewers_token_nobody_reads_without_one(tmp_path: Path) -> None:
    with page_station(tmp_path, viewer="the viewer's word") as started:
        for path in ("", "page.js", "healthz", "readyz"):
            assert httpx.get(f"{started.address}{path}").status_code == 200, path
        closed = (
            "api/state",
            "api/stream",
            "metrics",
            "live/top/frame.jpg",
            "pictures/0/frame.png",
            "api/frames",
            "api/marks",
            "frames/top-20251124T160000.000000-0/frame.jpg",
        )
        for path in closed:
            assert httpx.get(f"{started.address}{path}").status_code == 401, path
        for word in ("the viewer's word", TOKEN):
            headers = {"Authorization": f"Bearer {word}"}
            assert httpx.get(f"{started.address}metrics", headers=headers).status_code == 200
        with httpx.Client(base_url=started.address) as browser:
            headers = {"Authorization": "Bearer the viewer's word"}
            answer = browser.post("api/token", headers=headers)
            assert answer.json()["role"] == "viewer"
            assert "HttpOnly" in answer.headers["set-cookie"]
            assert browser.get("api/state").status_code == 200
            ask = {"action": "levels", "alarm": 13.0}
            assert browser.post("api/ask", json=ask).status_code == 401, "a cookie changes nothing"
            assert browser.post("api/ask", json=ask, headers=headers).status_code == 403
        cookie = {"Cookie": "semedge=guessed"}
        assert httpx.get(f"{started.address}api/state", headers=cookie).status_code == 401


@pytest.mark.fault(Fault.FLOOD)
def test_a_body_is_not_read_before_the_token(tmp_path: Path) -> None:
    with page_station(tmp_path) as started, connect(started) as connection:
        connection.sendall(
            b"POST /api/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000000\r\n\r\n"
        )
        answer = b""
        while part := connection.recv(10_000):
            answer += part
        assert answer.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(("host", "status"), [("localhost", 401), ("evil.example", 421)])
def test_a_refused_client_always_reads_why(tmp_path: Path, host: str, status: int) -> None:
    with page_station(tmp_path, names=("line.example",)) as started:
        # A connection that is closed before its body is read is reset, one in fifteen times.
        for _ in range(150):
            with httpx.Client(base_url=started.address) as browser:
                browser.get("healthz")
                ask = {"action": "levels", "alarm": 13.0}
                answer = browser.post("api/ask", json=ask, headers={"Host": host})
                assert answer.status_code == status


def test_head_is_answered_without_a_body(tmp_path: Path) -> None:
    with page_station(tmp_path) as started:
        for path in ("", "page.js", "healthz", "readyz", "metrics", "api/state"):
            answer = httpx.head(f"{started.address}{path}")
            assert (answer.status_code, answer.content) == (200, b""), path


def test_a_page_for_the_network_answers_to_its_names_and_addresses_alone(tmp_path: Path) -> None:
    with page_station(tmp_path, host="0.0.0.0", names=("line.example",)) as started:
        port = urlsplit(started.address).port
        for name, status in (
            ("line.example", 200),
            ("192.0.2.7", 200),
            ("localhost", 200),
            ("evil.example", 421),
        ):
            answer = httpx.get(
                f"http://127.0.0.1:{port}/api/state", headers={"Host": f"{name}:{port}"}
            )
            assert answer.status_code == status, name

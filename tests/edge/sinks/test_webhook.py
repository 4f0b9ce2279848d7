"""Events as HTTP requests, to a real server that fails as servers do."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from faults import Fault
from processes import free_port, process, python, wait_for
from sinks_support import EVENT, in_thread, numbered, server_context

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.core.section import Secret
from semedge.journal.journal import Journal
from semedge.sinks.base import DeliveryError, RejectedError, Sink
from semedge.sinks.delivery import Delivery
from semedge.sinks.webhook import WebhookSection


def webhook(port: int, scheme: str = "http", **settings: Any) -> Sink:
    if "secret_url" not in settings:
        settings["url"] = f"{scheme}://127.0.0.1:{port}/alerts"
    return WebhookSection(kind="webhook", **settings).open("mes")


def requests(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t0ken")
    monkeypatch.setenv("KEY", "signing")
    log, port = tmp_path / "requests", free_port()
    with process(python("webhook_server.py", port, log), tmp_path / "log", port):
        sink = webhook(port, token=Secret(env="TOKEN"), signing_key=Secret(env="KEY"))
        sink.deliver(EVENT)
        sink.close()
    (request,) = requests(log)
    assert request["path"] == "/alerts"
    assert Event.from_document(json.loads(request["body"])) == EVENT
    headers = {name.lower(): value for name, value in request["headers"].items()}
    assert headers["idempotency-key"] == EVENT.key
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer t0ken"
    digest = hmac.new(b"signing", request["body"].encode(), hashlib.sha256).hexdigest()
    assert headers["x-semedge-signature"] == f"sha256={digest}"


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, DeliveryError), (401, DeliveryError), (302, DeliveryError), (422, RejectedError)],
)
def test_an_answer_that_is_no_receipt(tmp_path: Path, status: int, error: type[Exception]) -> None:
    log, port = tmp_path / "requests", free_port()
    with process(python("webhook_server.py", port, log, status), tmp_path / "log", port):
        sink = webhook(port)
        with pytest.raises(DeliveryError, match=rf"127\.0\.0\.1 .*\b{status}\b") as raised:
            sink.deliver(EVENT)
        sink.close()
    assert type(raised.value) is error
    assert len(requests(log)) == 1, "a redirect is not followed"


@pytest.mark.fault(Fault.RECEIVER)
@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_down_then_killed_twice_and_back_everything_arrives_in_order(
    tmp_path: Path, count: int, record_property: Callable[[str, object], None]
) -> None:
    """From the journal as outbox, to a server that is down when the events are raised."""
    log, port = tmp_path / "requests", free_port()
    log.touch()
    argv = python("webhook_server.py", port, log)

    def arrived() -> int:
        return log.read_bytes().count(b"\n")

    with Journal(tmp_path / "journal.sqlite") as journal:
        delivery = Delivery(journal, [webhook(port, timeout_s=2)])
        delivery.start()
        stored = [journal.add_event(event, ["mes"]) for event in numbered(count)]
        delivery.wake()
        wait_for(lambda: delivery.states()[0].failures > 0)
        assert journal.pending_counts() == {"mes": count}
        for share in (0.3, 0.6):
            with process(argv, tmp_path / "log", port) as server:
                wait_for(lambda share=share: arrived() >= share * count, 60)
                server.kill()
        with process(argv, tmp_path / "log", port):
            wait_for(lambda: journal.pending_counts().get("mes", 0) == 0, 60)
        delivery.close()
    keys = [json.loads(request["body"])["key"] for request in requests(log)]
    once = list(dict.fromkeys(keys))
    twice = len(keys) - len(once)
    record_property(
        "webhook", f"{len(once):,} of {count:,} in order, {twice} twice, after 2 crashes"
    )
    assert once == [event.key for event in stored]
    assert twice <= 2, "at most one a crash"


class Refusing(http.server.BaseHTTPRequestHandler):
    """Refuses with the headers of the class, and notes when it was asked."""

    status = 503
    headers_sent: dict[str, str] = {}  # noqa: RUF012 - each test sets its own
    asked_s: list[float] = []  # noqa: RUF012

    def do_POST(self) -> None:
        """Refuse."""
        self.asked_s.append(time.monotonic())
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nothing on stderr."""


@contextmanager
def refusing(status: int, **headers: str) -> Iterator[tuple[int, list[float]]]:
    asked_s: list[float] = []
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    handler = type(
        "Handler", (Refusing,), {"status": status, "headers_sent": sent, "asked_s": asked_s}
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], asked_s
        server.shutdown()


def test_the_pause_that_a_receiver_wishes_is_kept(tmp_path: Path) -> None:
    with (
        refusing(503, Retry_After="2") as (port, asked_s),
        Journal(tmp_path / "journal.sqlite") as journal,
    ):
        delivery = Delivery(journal, [webhook(port)])
        journal.add_event(EVENT, ["mes"])
        delivery.start()
        wait_for(lambda: len(asked_s) >= 2)
        delivery.close()
    assert 1.9 < asked_s[1] - asked_s[0] < 4


@pytest.mark.parametrize(
    ("value", "expected_s"),
    [
        ("120", 120.0),
        ("99999", 3600.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("nan", 0.0),
        ("a date", 90.0),
    ],
)
def test_the_header_has_seconds_or_a_date(value: str, expected_s: float) -> None:
    if value == "a date":
        value = formatdate(time.time() + 90, usegmt=True)
    with refusing(429, Retry_After=value) as (port, _):
        sink = webhook(port)
        with pytest.raises(DeliveryError) as raised:
            sink.deliver(EVENT)
        sink.close()
    assert raised.value.retry_after_s == pytest.approx(expected_s, abs=3)


def test_a_redirect_names_the_host_but_no_secret() -> None:
    with refusing(307, Location="https://u:secret@new.example/hook?token=secret") as (port, _):
        sink = webhook(port)
        with pytest.raises(DeliveryError, match=r"307 .* on new\.example; give") as raised:
            sink.deliver(EVENT)
        sink.close()
    assert "secret" not in str(raised.value)


def test_a_server_that_does_not_answer_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sink = webhook(server.getsockname()[1], timeout_s=0.3)
        started_s = time.monotonic()
        with pytest.raises(DeliveryError, match=r"127\.0\.0\.1 .* 0\.3 s"):
            sink.deliver(EVENT)
        assert time.monotonic() - started_s < 2
        sink.close()


def test_a_server_that_drips_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
                    if over.wait(0.05):
                        return
                    connection.send(bytes([byte]))

        with in_thread(drip, over.set):
            sink = webhook(server.getsockname()[1], timeout_s=0.5)
            started_s = time.monotonic()
            with pytest.raises(DeliveryError):
                sink.deliver(EVENT)
            assert time.monotonic() - started_s < 2
            sink.close()


def test_https_needs_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    context, authority = server_context(tmp_path)

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with in_thread(server.serve_forever, server.shutdown):
        trusted = webhook(server.server_port, "https", ca_file=authority)
        trusted.deliver(EVENT)
        trusted.close()
        doubting = webhook(server.server_port, "https")
        with pytest.raises(DeliveryError):
            doubting.deliver(EVENT)
        doubting.close()
    server.server_close()


def test_a_secret_address_is_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "address"
    secret.write_text(f"http://127.0.0.1:{free_port()}/hooks/s3cret\n")
    secret.chmod(0o600)
    section = WebhookSection(kind="webhook", secret_url=Secret(file=secret))
    sink = section.open("chat")
    with pytest.raises(DeliveryError) as raised:
        sink.deliver(EVENT)
    sink.close()
    assert "s3cret" not in str(raised.value) + repr(section) + section.model_dump_json()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"url": "http://mes/a", "proxy": "http://me:pw@proxy:3128"},
            "a password does not belong here; use secret_proxy",
        ),
        ({"url": "ftp://host/x"}, "url\n.*http://.*'ftp://host/x'"),
        ({"url": "http://user:pass@host/"}, "password.* token or secret_url"),
        ({"url": "http://host/", "timeout_s": 0}, "timeout_s\n.*greater than 0"),
    ],
)
def test_a_section_that_is_wrong(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        WebhookSection(kind="webhook", **settings)


def test_one_address() -> None:
    with pytest.raises(SemedgeError, match=r"mes .*url or secret_url"):
        WebhookSection(kind="webhook").open("mes")


def test_only_selected_events_are_sent() -> None:
    section = WebhookSection(
        kind="webhook",
        url="http://host/",
        kinds=("defect",),
        phases=("start",),
        least_level="alarm",
    )
    assert section.wants(EVENT)
    assert not section.wants(replace(EVENT, kind="health"))
    assert not section.wants(replace(EVENT, phase="update"))
    assert not section.wants(replace(EVENT, level="warn"))
    assert section.wants(replace(EVENT, kind="test", phase="end", level=None))


def test_waiting_helper_fails() -> None:
    with pytest.raises(AssertionError, match="did not happen"):
        wait_for(lambda: False, 0.05)

"""Events as e-mail and through Apprise, to a real mail server and a real receiver."""

from __future__ import annotations

import email
import email.policy
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from processes import free_port, process, python
from sinks_support import EVENT, server_context

from semedge.core.errors import SemedgeError
from semedge.core.section import Secret
from semedge.sinks.apprise import AppriseSection
from semedge.sinks.base import DeliveryError, RejectedError, Sink
from semedge.sinks.email import EmailSection

PICTURE = b"\x89PNG picture"


@dataclass
class Mailbox:
    answer: str = "250 OK"
    mails: list[tuple[Envelope, bool]] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("2"):
            self.mails.append((envelope, session.ssl is not None))
        return self.answer


def accept(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    known = data.login == b"station" and data.password == b"pa ss"
    return AuthResult(success=known, handled=False)


@dataclass
class Server:
    mailbox: Mailbox
    port: int
    authority: Path


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    return server_context(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server(tls: tuple[ssl.SSLContext, Path]) -> Iterator[Server]:
    context, authority = tls
    mailbox, port = Mailbox(), free_port()
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=accept,
    )
    controller.start()
    try:
        yield Server(mailbox, port, authority)
    finally:
        controller.stop()


def mail_sink(server: Server, **settings: Any) -> Sink:
    return EmailSection(
        **{
            "kind": "email",
            "host": "127.0.0.1",
            "port": server.port,
            "ca_file": server.authority,
            "username": "station",
            "password": Secret(env="MAIL_PASSWORD"),
            "sender": "station@example.org",
            "recipients": ("quality@example.org", "night@example.org"),
            **settings,
        }
    ).open("mail")


def test_a_mail(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "pa ss")
    picture = tmp_path / "overlay.png"
    picture.write_bytes(PICTURE)
    mail_sink(server).deliver(replace(EVENT, overlay_picture=str(picture)))
    ((envelope, encrypted),) = server.mailbox.mails
    assert encrypted
    assert envelope.rcpt_tos == ["quality@example.org", "night@example.org"]
    mail = email.message_from_bytes(envelope.content or b"", policy=email.policy.default)
    assert mail["Subject"] == "[line 1 top] ALARM: defect score"
    assert mail["Message-ID"] == f"<{EVENT.key}@example.org>"
    body = mail.get_body()
    assert body is not None
    assert body.get_content().startswith(EVENT.message)
    (attached,) = mail.iter_attachments()
    assert attached.get_content() == PICTURE


def test_a_missing_picture_delays_no_mail(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "pa ss")
    mail_sink(server).deliver(replace(EVENT, overlay_picture="/nowhere/overlay.png"))
    assert len(server.mailbox.mails) == 1


def test_the_wrong_password_is_reported_but_not_shown(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "wr0ng")
    with pytest.raises(DeliveryError, match=r"127\.0\.0\.1 .*\bstation\b") as raised:
        mail_sink(server).deliver(EVENT)
    assert "wr0ng" not in str(raised.value)
    assert type(raised.value) is DeliveryError


@pytest.mark.parametrize(
    ("answer", "error"), [("451 later", DeliveryError), ("554 no", RejectedError)]
)
def test_a_mail_that_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, answer: str, error: type[Exception]
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "pa ss")
    server.mailbox.answer = answer
    with pytest.raises(DeliveryError, match=rf"\b{answer[:3]}\b") as raised:
        mail_sink(server).deliver(EVENT)
    assert type(raised.value) is error


def test_a_server_that_is_not_trusted_gets_no_password(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "pa ss")
    with pytest.raises(ssl.SSLCertVerificationError):
        mail_sink(server, ca_file=None).deliver(EVENT)
    assert server.mailbox.mails == []


def test_a_password_is_never_sent_unencrypted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "pa ss")
    with pytest.raises(SemedgeError, match=r'unencrypted.*"starttls" or "tls"'):
        mail_sink(server, security="none")


def apprise_sink(tmp_path: Path, *addresses: str) -> Sink:
    file = tmp_path / "addresses"
    file.write_text("\n".join(addresses))
    file.chmod(0o600)
    return AppriseSection(kind="apprise", addresses=Secret(file=file)).open("chat")


def test_apprise_sends_again_only_where_it_failed(tmp_path: Path) -> None:
    log, port, later = tmp_path / "requests", free_port(), free_port()
    sink = apprise_sink(
        tmp_path, f"json://127.0.0.1:{port}/one", f"json://u:s3cret@127.0.0.1:{later}/two"
    )
    with process(python("webhook_server.py", port, log, 200), tmp_path / "log", port):
        with pytest.raises(DeliveryError, match=r"json \(address 2\)") as raised:
            sink.deliver(EVENT)
        assert "s3cret" not in str(raised.value)
        with process(python("webhook_server.py", later, log, 200), tmp_path / "log", later):
            sink.deliver(EVENT)
    bodies = [json.loads(json.loads(line)["body"]) for line in log.read_text().splitlines()]
    paths = [json.loads(line)["path"] for line in log.read_text().splitlines()]
    assert [path.strip("/") for path in paths] == ["one", "two"]
    assert {body["title"] for body in bodies} == {"[line 1 top] ALARM: defect score"}
    assert {body["type"] for body in bodies} == {"failure"}


def test_an_address_that_apprise_does_not_know_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(SemedgeError, match=r"\b1 of the sink chat\b") as raised:
        apprise_sink(tmp_path, "nosuch://s3cret")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("recipient", ["müller@example.org", "info@büro.example"])
def test_addresses_that_many_servers_refuse_are_refused_in_the_file(recipient: str) -> None:
    with pytest.raises(ValueError, match=r"beyond ASCII.*xn--"):
        EmailSection(kind="email", host="mail", sender="s@example.org", recipients=(recipient,))


def test_a_line_break_in_a_name_does_not_block_the_mail(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "pa ss")
    mail_sink(server).deliver(replace(EVENT, station="line 1\r\nBcc: x@example.test"))
    ((envelope, _),) = server.mailbox.mails
    mail = email.message_from_bytes(envelope.content or b"", policy=email.policy.default)
    assert mail["Subject"] == "[line 1 Bcc: x@example.test top] ALARM: defect score"
    assert mail["Bcc"] is None

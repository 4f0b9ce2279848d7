"""Events as e-mail."""

from __future__ import annotations

import smtplib
import ssl
from datetime import datetime, timezone
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from semedge.core.errors import SemedgeError
from semedge.core.event import Event, Phase
from semedge.core.section import Secret
from semedge.sinks.base import DeliveryError, RejectedError, Sink
from semedge.sinks.section import SinkSection
from semedge.sinks.text import body_of, picture_of, title_of

PORTS = {"starttls": 587, "tls": 465, "none": 25}


class EmailSection(SinkSection):
    """`[sinks.NAME]` with `kind = "email"`: a mail at an event's start and its end."""

    kind: Literal["email"] = Field(description="The word `email`.")
    host: str = Field(min_length=1, description="The mail server.")
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Its port; by default 587 with starttls, 465 with tls, 25 with none.",
    )
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is encrypted."
    )
    ca_file: Path | None = Field(
        default=None,
        description="Certificates to check the server's with; by default the system's.",
    )
    username: str | None = Field(default=None, description="The user to log in as.")
    password: Secret | None = Field(default=None, description="The password of that user.")
    sender: str = Field(description="Address that the mails come from.")
    recipients: tuple[str, ...] = Field(min_length=1, description="Addresses that they go to.")
    pictures: bool = Field(default=True, description="Attach the heat map.")
    timeout_s: float = Field(
        default=15.0, gt=0, le=60, description="Longest wait for the server's next answer."
    )
    phases: tuple[Phase, ...] = Field(
        default=("start", "end"), min_length=1, description="Phases of an event that are mailed."
    )

    @field_validator("sender", "recipients")
    @classmethod
    def _are_addresses(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for address in [value] if isinstance(value, str) else value:
            if "@" not in address or not address.isprintable():
                raise ValueError(f"{address!r} is not a mail address")
            if not address.isascii():
                raise ValueError(
                    f"{address!r} has letters beyond ASCII, which many mail servers refuse; write "
                    "the domain as xn--..., and choose a mailbox in ASCII"
                )
        return value

    def open(self, name: str) -> Sink:
        """The sink."""
        return EmailSink(name, self)


class EmailSink:
    """Sends a mail for each event over a new connection; its Message-ID is the event's key."""

    def __init__(self, name: str, section: EmailSection) -> None:
        self.name = name
        self._section = section
        if (section.username is None) != (section.password is None):
            raise SemedgeError(
                f"The e-mail sink {name} has only one of username and password; give both."
            )
        if section.password is not None and section.security == "none":
            raise SemedgeError(
                f"The e-mail sink {name} would send its password unencrypted; choose security = "
                '"starttls" or "tls".'
            )
        self._password = section.password.read() if section.password else None
        try:
            self._tls_context = ssl.create_default_context(
                cafile=str(section.ca_file) if section.ca_file else None
            )
        except (OSError, ssl.SSLError) as error:
            raise SemedgeError(
                f"The certificates {section.ca_file} cannot be used ({error}); give a PEM file."
            ) from error

    def deliver(self, event: Event) -> None:
        """Send the mail; the event is delivered when the server has accepted it."""
        message = self._message(event)
        try:
            with self._connection() as server:
                if self._section.security == "starttls":
                    server.starttls(context=self._tls_context)
                if self._section.username is not None and self._password is not None:
                    server.login(self._section.username, self._password)
                server.send_message(message)
        except smtplib.SMTPDataError as error:
            kind = RejectedError if error.smtp_code >= 500 else DeliveryError
            raise kind(f"{self._section.host} answered {error.smtp_code}") from error
        except smtplib.SMTPRecipientsRefused as error:
            raise DeliveryError(
                f"{self._section.host} does not accept mail for {', '.join(error.recipients)}"
            ) from error
        except smtplib.SMTPAuthenticationError as error:
            # The server's text is left out, since some servers repeat the password.
            raise DeliveryError(
                f"{self._section.host} does not accept the password of {self._section.username}"
            ) from error

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _connection(self) -> smtplib.SMTP:
        section = self._section
        port = section.port or PORTS[section.security]
        if section.security == "tls":
            return smtplib.SMTP_SSL(
                section.host, port, timeout=section.timeout_s, context=self._tls_context
            )
        return smtplib.SMTP(section.host, port, timeout=section.timeout_s)

    def _message(self, event: Event) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = title_of(event)
        message["From"] = self._section.sender
        message["To"] = ", ".join(self._section.recipients)
        message["Date"] = format_datetime(datetime.fromtimestamp(event.raised_at_s, timezone.utc))
        message["Message-ID"] = f"<{event.key}@{self._section.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(body_of(event))
        picture = picture_of(event) if self._section.pictures else None
        if picture is not None:
            message.add_attachment(
                picture, maintype="image", subtype="png", filename=f"{event.key}.png"
            )
        return message

"""Events through the services that Apprise supports: chats, pagers, telephones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from semedge.core.errors import SemedgeError
from semedge.core.event import Event, Phase
from semedge.core.optional import import_extra
from semedge.core.section import Secret
from semedge.sinks.base import DeliveryError, Sink
from semedge.sinks.section import SinkSection
from semedge.sinks.text import body_of, picture_of, title_of

SEVERITY = {"alarm": "failure", "warn": "warning", None: "info"}


class AppriseSection(SinkSection):
    """`[sinks.NAME]` with `kind = "apprise"`: a message at an event's start and its end."""

    kind: Literal["apprise"] = Field(description="The word `apprise`.")
    addresses: Secret = Field(
        description="Apprise's addresses, one a line; they contain tokens, so they are a secret."
    )
    pictures: bool = Field(
        default=True, description="Attach the heat map where the service supports it."
    )
    phases: tuple[Phase, ...] = Field(
        default=("start", "end"), min_length=1, description="Phases of an event that are sent."
    )

    def open(self, name: str) -> Sink:
        """The sink."""
        return AppriseSink(name, self)


class AppriseSink:
    """Sends each event to every address; after a failure, only to those that failed."""

    def __init__(self, name: str, section: AppriseSection) -> None:
        self.name = name
        self._apprise = import_extra("apprise", "notify", "An Apprise sink")
        self._pictures = section.pictures
        self._services = []
        for number, address in enumerate(section.addresses.read().split(), start=1):
            service = self._apprise.Apprise.instantiate(address)
            if service is None:
                raise SemedgeError(
                    f"Apprise does not support address {number} of the sink {name}; its "
                    "documentation lists the forms of addresses."
                )
            self._services.append((f"{address.partition(':')[0]} (address {number})", service))
        self._waiting_key = ""
        self._done: set[str] = set()

    def deliver(self, event: Event) -> None:
        """Send the event; it is delivered when every service has accepted it."""
        if event.key != self._waiting_key:
            self._waiting_key, self._done = event.key, set()
        attached = self._attachment(event)
        failed = []
        for label, service in self._services:
            if label in self._done:
                continue
            if service.notify(
                body=body_of(event),
                title=title_of(event),
                notify_type=self._apprise.NotifyType(SEVERITY[event.level]),
                attach=attached if service.attachment_support else None,
            ):
                self._done.add(label)
            else:
                failed.append(label)
        if failed:
            raise DeliveryError(f"{', '.join(failed)} did not accept it")

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _attachment(self, event: Event) -> object | None:
        # Apprise refuses the whole message where a picture is missing.
        if not self._pictures or picture_of(event) is None:
            return None
        attached = self._apprise.AppriseAttachment()
        return attached if attached.add(event.overlay_picture) else None

"""How a station presents itself to an MQTT 5 broker: topics, identifier, certificates, limits."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
from pathlib import Path
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.core.optional import import_extra
from semedge.state.requests import LARGEST_REQUEST_BYTES

NO_TOPIC = r"[+#/\0$\s]"
"""Characters with a special meaning in a topic, and spaces, which clients have to quote."""
ID_DIGITS = 8


def default_prefix(station: str) -> str:
    """The prefix of the topics of a station for which none is set."""
    return f"semedge/{re.sub(NO_TOPIC, '_', station) or 'station'}"


def default_client_id(prefix: str, sink: str) -> str:
    """An identifier that stays after a restart, and that no other station has."""
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        machine = ""
    place = "\0".join((machine, socket.gethostname(), str(Path.cwd()), prefix, sink))
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:ID_DIGITS]
    return f"{re.sub(r'[^A-Za-z0-9]', '-', prefix)}-{digest}"


def tls_context(
    name: str, ca_file: Path | None, certificate: Path | None, private_key: Path | None
) -> ssl.SSLContext:
    """What a connection is encrypted with; `SemedgeError` where a file cannot be used.

    Parameters
    ----------
    name
        The sink's name.
    ca_file
        Certificates that the broker's is checked with; the system's where None.
    certificate, private_key
        Those of the station; None where it has none.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        if certificate is not None:
            context.load_cert_chain(certificate, private_key)
    except (OSError, ssl.SSLError) as error:
        raise SemedgeError(
            f"The certificates of the MQTT sink {name} cannot be used ({error}); give PEM files."
        ) from error
    return context


def connect_properties() -> Any:
    """Properties that refuse large messages before they are in memory."""
    properties = import_extra("paho.mqtt.properties", "mqtt", "An MQTT sink")
    packets = import_extra("paho.mqtt.packettypes", "mqtt", "An MQTT sink")
    chosen = properties.Properties(packets.PacketTypes.CONNECT)
    chosen.MaximumPacketSize = 2 * LARGEST_REQUEST_BYTES
    return chosen


def subscribe_options() -> Any:
    """Options that ask for no retained request, and show which ones are to be retained."""
    options = import_extra("paho.mqtt.subscribeoptions", "mqtt", "An MQTT sink")
    return options.SubscribeOptions(
        qos=1,
        retainAsPublished=True,
        retainHandling=options.SubscribeOptions.RETAIN_DO_NOT_SEND,
    )

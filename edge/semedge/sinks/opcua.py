"""Events, state and settings as nodes of an OPC UA server."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.core.optional import import_extra
from semedge.core.parts import reason_of
from semedge.core.section import Secret
from semedge.core.version import __version__
from semedge.sinks.base import Sink
from semedge.sinks.opcua_nodes import (
    CAMERA_NODES,
    EVENT_PROPERTIES,
    METHODS,
    NAMESPACE,
    SEVERITY,
    STATION_NODES,
    NodeRow,
    camera_values,
    event_values,
    station_values,
)
from semedge.sinks.opcua_tree import Tree
from semedge.sinks.server import REFRESH_EVERY_S, ServerSection, ServerSink

logger = logging.getLogger(__name__)

WRITE_TIMEOUT_S = 5.0
BUILT = datetime(2026, 1, 1, tzinfo=timezone.utc)
"""OPC UA's date of the build, which semedge has none of."""
CONNECTION_LIMITS = {"max_connections": 50, "max_pending_activation_seconds": 10}
"""Clients at the same time, and how long one may take to open a session."""

EVENTS_BUFFERED = 1_000
STATION = "Station"
"""Name of the object of the station, and the first part of every node's id."""
DEFAULTS = {"String": "", "String[]": [], "Boolean": False, "Double": math.nan}


class OpcUaSection(ServerSection):
    """`[sinks.NAME]` with `kind = "opcua"`: an OPC UA server."""

    kind: Literal["opcua"] = Field(description="The word `opcua`.")
    host: str = Field(default="127.0.0.1", description="Address that it listens on.")
    port: int = Field(default=4840, ge=1, le=65535, description="Port that it listens on.")
    certificate: Path | None = Field(
        default=None,
        description="The server's certificate, a PEM file; with it, connections are encrypted.",
    )
    private_key: Path | None = Field(default=None, description="The key of that certificate.")
    username: str | None = Field(
        default=None, description="The only user; by default anyone can connect."
    )
    password: Secret | None = Field(default=None, description="The password of that user.")
    handshake: bool = Field(
        default=False,
        description="Whether an event is delivered when a client has called `TakeEvent` with its "
        "number; without, as soon as the server has notified its subscribers.",
    )

    def open(self, name: str) -> Sink:
        """The sink."""
        return OpcUaSink(name, self)


class OpcUaSink(ServerSink):
    """Shows the state in nodes, and notifies subscribers of each event."""

    def __init__(self, name: str, section: OpcUaSection) -> None:
        super().__init__(name, "OPC UA", (section.host, section.port))
        self._section = section
        self._asyncua = import_extra("asyncua", "opcua", "An OPC UA sink")
        _check(name, section)
        self._password = section.password.read() if section.password else None
        self._generator: Any = None
        self._index = 0
        self._nodes: dict[tuple[str, str], Any] = {}
        self._written: dict[tuple[str, str], Any] = {}
        self._events: deque[Event] = deque(maxlen=EVENTS_BUFFERED)
        self._taken = 0

    def deliver(self, event: Event) -> None:
        """Notify the subscribers, and with the handshake wait for the confirmation."""
        loop = self._listen(event.station)
        if not self._events or self._events[-1].key != event.key:
            self._events.append(event)
            loop.run(self._notify(event), WRITE_TIMEOUT_S)
        if self._section.handshake:
            self._await_confirmation(
                event.number, lambda: self._taken, self._section.timeout_s, "no client confirmed"
            )

    def get_user(
        self,
        _server: Any,
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> Any:
        """The user of a client, for asyncua; None refuses the client."""
        rules = import_extra("asyncua.crypto.permission_rules", "opcua", "An OPC UA sink")
        if self._section.username is not None:
            known = hmac.compare_digest((password or "").encode(), (self._password or "").encode())
            if username != self._section.username or not known:
                return None
        return rules.User(role=rules.UserRole.User, name=username)

    async def _start(self, station: str) -> Any:
        ua, section = self._asyncua.ua, self._section
        server = self._asyncua.Server(user_manager=self)
        for name, limit in CONNECTION_LIMITS.items():
            setattr(server.iserver, name, limit)
        await server.init()
        server.set_endpoint(f"opc.tcp://{section.host}:{section.port}/semedge/")
        server.set_server_name(f"semedge {station}")
        if section.certificate is not None and section.private_key is not None:
            # Named, since asyncua goes by the extension alone, and reads any but .pem as DER.
            await server.load_certificate(str(section.certificate), "pem")
            await server.load_private_key(str(section.private_key), format="pem")
            server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
        else:
            server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        if section.username is not None:
            server.set_identity_tokens([ua.UserNameIdentityToken])
        await server.set_application_uri(_application_uri(section.certificate, station))
        await server.set_build_info(
            "urn:semedge", "semedge", "semedge", __version__, __version__, BUILT
        )
        self._index = await server.register_namespace(NAMESPACE)
        await self._build(server, station)
        await server.start()
        return server

    async def _stop(self, server: Any) -> None:
        await server.stop()

    async def _build(self, server: Any, station: str) -> None:
        tree = Tree(self._index)
        root = await tree.add_object(server.nodes.objects, STATION)
        await tree.add_property(root, f"{STATION}/Name", station, "String")
        await self._add_variables(tree, root, STATION, "", STATION_NODES)
        systems_path = f"{STATION}/VisionSystems"
        systems = await tree.add_folder(root, systems_path)
        for camera in self._cameras:
            path = f"{systems_path}/{camera}"
            system = await tree.add_object(systems, path)
            await self._add_variables(tree, system, path, camera, CAMERA_NODES)
        for method in METHODS:
            await tree.add_method(
                root, f"{STATION}/{method.name}", method, self._methods()[method.name]
            )
        kind = await tree.add_event_type(
            server.nodes.base_event_type, "StationEventType", EVENT_PROPERTIES
        )
        self._generator = await server.get_event_generator(kind, root)

    async def _add_variables(
        self, tree: Tree, root: Any, above: str, owner: str, rows: tuple[NodeRow, ...]
    ) -> None:
        objects = {"": root}
        for row in rows:
            *parents, _ = row.path.split("/")
            path = ""
            for parent in parents:
                outer, path = path, f"{path}/{parent}"
                if path not in objects:
                    objects[path] = await tree.add_object(objects[outer], f"{above}{path}")
            initial = DEFAULTS.get(row.type, 0)
            self._nodes[owner, row.path] = await tree.add_variable(
                objects[path], f"{above}/{row.path}", initial, row.type
            )

    def _variant(self, row: NodeRow) -> Any:
        return self._asyncua.ua.VariantType[row.type.removesuffix("[]")]

    def _methods(self) -> dict[str, Callable[..., Awaitable[tuple[Any, ...]]]]:
        """What each of `METHODS` does: its outputs for its inputs."""

        async def set_levels(camera: str, alarm: float, warn: float) -> tuple[bool, str]:
            levels = {"alarm": alarm, "warn": None if math.isnan(warn) else warn}
            return await self._carry_out({"action": "levels", "camera": camera, **levels})

        async def prepare_recipe(camera: str, recipe: str) -> tuple[bool, str]:
            return await self._carry_out({"action": "recipe", "camera": camera, "recipe": recipe})

        async def acknowledge(event_id: str) -> tuple[bool, str]:
            return await self._carry_out({"action": "acknowledge", "event_id": event_id})

        async def mark_event(event_id: str, mark: str, note: str) -> tuple[bool, str]:
            marked = {"event_id": event_id, "mark": mark, "note": note or ""}
            return await self._carry_out({"action": "mark", **marked})

        async def mark_frame(frame: str, mark: str, note: str) -> tuple[bool, str]:
            marked = {"frame": frame, "mark": mark, "note": note or ""}
            return await self._carry_out({"action": "mark", **marked})

        async def take_event(number: int) -> tuple[()]:
            if self._section.handshake:
                self._taken = number
            return ()

        async def events_after(number: int) -> tuple[list[str]]:
            documents = [
                event_values(event)["LatestEvent/Document"]
                for event in list(self._events)
                if event.number > number
            ]
            return (documents,)

        return {
            "SetLevels": set_levels,
            "PrepareRecipe": prepare_recipe,
            "Acknowledge": acknowledge,
            "MarkEvent": mark_event,
            "MarkFrame": mark_frame,
            "TakeEvent": take_event,
            "EventsAfter": events_after,
        }

    async def _carry_out(self, request: dict[str, Any]) -> tuple[bool, str]:
        """Carry out a request in another thread, since it may load a detector."""
        if not self._section.accept_settings or self._handler is None:
            return (
                False,
                "This server accepts no settings; set accept_settings in the station file.",
            )
        try:
            message = await asyncio.to_thread(self._handler.handle, request, f"opcua {self.name}")
        except SemedgeError as error:
            return False, str(error)
        except Exception as error:
            logger.exception(
                f"{self.name}: a request failed: {request['action']}.",
                extra={"event": "request-failed"},
            )
            return False, f"The request failed ({reason_of(error)}); see the station's log."
        return True, message

    async def _notify(self, event: Event) -> None:
        values = event_values(event)
        await self._write("", STATION_NODES, values)
        published = self._generator.event
        for name, _ in EVENT_PROPERTIES:
            setattr(published, name, values[f"LatestEvent/{name}"])
        published.Severity = SEVERITY[event.level]
        await self._generator.trigger(message=event.message)

    async def _write(self, owner: str, rows: tuple[NodeRow, ...], values: Any) -> None:
        """Write what has changed."""
        for row in rows:
            if row.path not in values:
                continue
            value = values[row.path]
            key = (owner, row.path)
            if repr(value) != repr(self._written.get(key)):
                self._written[key] = value
                await self._nodes[key].write_value(value, self._variant(row))

    def _work(self) -> None:
        loop = self._loop
        if not self._closing.wait(REFRESH_EVERY_S) and loop is not None:
            loop.run(self._refresh(), WRITE_TIMEOUT_S)

    async def _refresh(self) -> None:
        """Update the nodes from the state."""
        assert self._state is not None
        assert self._handler is not None
        snapshot, recipes = await asyncio.to_thread(self._look)
        await self._write("", STATION_NODES, station_values(snapshot, self.name))
        for name in self._cameras:
            values = camera_values(snapshot.cameras[name], recipes)
            await self._write(name, CAMERA_NODES, values)

    def _look(self) -> Any:
        assert self._state is not None
        assert self._handler is not None
        return self._state.snapshot(), self._handler.recipes()


def _application_uri(certificate: Path | None, station: str) -> str:
    """The server's name among applications: that in its certificate, as clients check."""
    if certificate is not None:
        x509 = import_extra("cryptography.x509", "opcua", "An OPC UA sink")
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        try:
            names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        except x509.ExtensionNotFound:
            uris = []
        if uris:
            return str(uris[0])
    return f"urn:{socket.gethostname()}:semedge:{quote(station)}"


def _check(name: str, section: OpcUaSection) -> None:
    if (section.certificate is None) != (section.private_key is None):
        raise SemedgeError(
            f"The OPC UA sink {name} has only one of certificate and private_key; give both."
        )
    if section.certificate is not None and section.private_key is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                section.certificate, section.private_key
            )
        except OSError as error:
            raise SemedgeError(
                f"The OPC UA sink {name} cannot use the certificate {section.certificate} with "
                f"the key {section.private_key} ({error.strerror or error}); give PEM files that "
                "belong together."
            ) from error
    if (section.username is None) != (section.password is None):
        raise SemedgeError(
            f"The OPC UA sink {name} has only one of username and password; give both."
        )
    if section.password is not None and section.certificate is None:
        raise SemedgeError(
            f"The OPC UA sink {name} would receive its password unencrypted; give a certificate."
        )

"""Events, state and settings as nodes of an OPC UA server."""

from __future__ import annotations

import asyncio
import hmac
import math
import ssl
from collections import deque
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.core.optional import import_extra
from semedge.core.section import Secret
from semedge.sinks.base import Sink
from semedge.sinks.opcua_nodes import (
    CAMERA_NODES,
    NAMESPACE,
    SEVERITY,
    STATION_NODES,
    NodeRow,
    camera_values,
    event_values,
    station_values,
)
from semedge.sinks.server import REFRESH_EVERY_S, ServerSection, ServerSink

WRITE_TIMEOUT_S = 5.0
EVENTS_BUFFERED = 1_000
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
        self._index = await server.register_namespace(NAMESPACE)
        await self._build(server, station)
        await server.start()
        return server

    async def _stop(self, server: Any) -> None:
        await server.stop()

    async def _build(self, server: Any, station: str) -> None:
        root = await server.nodes.objects.add_object(self._index, "Station")
        await root.add_property(self._index, "Name", station)
        await self._add_variables(root, "", STATION_NODES)
        systems = await root.add_folder(self._index, "VisionSystems")
        for camera in self._cameras:
            system = await systems.add_object(self._index, camera)
            await self._add_variables(system, camera, CAMERA_NODES)
        await self._add_methods(root)
        ua = self._asyncua.ua
        kind = await server.create_custom_event_type(
            self._index,
            "StationEventType",
            ua.ObjectIds.BaseEventType,
            [
                ("Number", ua.VariantType.UInt32),
                ("Kind", ua.VariantType.String),
                ("Phase", ua.VariantType.String),
                ("Level", ua.VariantType.String),
                ("Camera", ua.VariantType.String),
                ("Document", ua.VariantType.String),
            ],
        )
        self._generator = await server.get_event_generator(kind, root)

    async def _add_variables(self, root: Any, owner: str, rows: tuple[NodeRow, ...]) -> None:
        folders = {"": root}
        for row in rows:
            *parents, name = row.path.split("/")
            path = ""
            for parent in parents:
                above, path = path, f"{path}/{parent}"
                if path not in folders:
                    folders[path] = await folders[above].add_object(self._index, parent)
            kind = self._variant(row)
            initial = DEFAULTS.get(row.type, 0)
            self._nodes[owner, row.path] = await folders[path].add_variable(
                self._index, name, initial, kind
            )

    def _variant(self, row: NodeRow) -> Any:
        return self._asyncua.ua.VariantType[row.type.removesuffix("[]")]

    async def _add_methods(self, root: Any) -> None:
        types = self._asyncua.ua.VariantType
        answer = [types.Boolean, types.String]
        uamethod = self._asyncua.uamethod

        async def set_levels(_node: Any, camera: str, alarm: float, warn: float) -> Any:
            levels = {"alarm": alarm, "warn": None if math.isnan(warn) else warn}
            return await self._carry_out({"action": "levels", "camera": camera, **levels})

        async def prepare_recipe(_node: Any, camera: str, recipe: str) -> Any:
            return await self._carry_out({"action": "recipe", "camera": camera, "recipe": recipe})

        async def acknowledge(_node: Any, event_id: str) -> Any:
            return await self._carry_out({"action": "acknowledge", "event_id": event_id})

        async def take_event(_node: Any, number: int) -> None:
            self._taken = number

        async def events_after(_node: Any, number: int) -> list[str]:
            return [
                event_values(event)["LatestEvent/Document"]
                for event in list(self._events)
                if event.number > number
            ]

        text, real = types.String, types.Double
        for name, method, inputs, outputs in (
            ("SetLevels", set_levels, [text, real, real], answer),
            ("PrepareRecipe", prepare_recipe, [text, text], answer),
            ("Acknowledge", acknowledge, [text], answer),
            ("TakeEvent", take_event, [types.UInt32], []),
            ("EventsAfter", events_after, [types.UInt32], [text]),
        ):
            await root.add_method(self._index, name, uamethod(method), inputs, outputs)

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
        return True, message

    async def _notify(self, event: Event) -> None:
        values = event_values(event)
        await self._write("", STATION_NODES, values)
        published = self._generator.event
        for name in ("Number", "Kind", "Phase", "Level", "Camera", "Document"):
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
        while not self._closing.wait(REFRESH_EVERY_S):
            loop = self._loop
            if loop is None:
                return
            try:
                loop.run(self._refresh(), WRITE_TIMEOUT_S)
            except (TimeoutError, RuntimeError, asyncio.CancelledError):
                continue

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

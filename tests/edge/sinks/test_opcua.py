"""A real OPC UA client reads the nodes, hears the events and calls the methods."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.sync import Client
from faults import Fault
from processes import answers, free_port, wait_for
from sinks_support import EVENT, numbered
from station_support import RecordingControl, request_handler_of, running_station

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.core.section import Secret
from semedge.core.version import __version__
from semedge.sinks.base import DeliveryError
from semedge.sinks.opcua import CONNECTION_LIMITS, OpcUaSection, OpcUaSink
from semedge.sinks.opcua_nodes import CAMERA_NODES, NAMESPACE, STATION_NODES
from semedge.state.state import StationState


class Listener:
    """Keeps what a subscription brings."""

    def __init__(self) -> None:
        self.documents: list[str] = []
        self.severities: list[int] = []

    def event_notification(self, event: Any) -> None:
        self.documents.append(event.Document)
        self.severities.append(event.Severity)


class Plant:
    """A client of the station's server."""

    def __init__(self, client: Client) -> None:
        self.client = client
        index = client.get_namespace_index(NAMESPACE)
        self.index = index
        self.root = client.nodes.objects.get_child([f"{index}:Station"])

    def read(self, path: str, camera: str | None = None) -> Any:
        above = [] if camera is None else ["VisionSystems", camera]
        steps = [f"{self.index}:{step}" for step in (*above, *path.split("/"))]
        return self.root.get_child(steps).read_value()

    def call(self, method: str, *values: Any) -> Any:
        return self.root.call_method(f"{self.index}:{method}", *values)


@contextmanager
def sink_of(**settings: Any) -> Iterator[tuple[OpcUaSink, int, StationState, RecordingControl]]:
    port = free_port()
    sink = OpcUaSection(**{"kind": "opcua", "port": port, **settings}).open("plant")
    assert isinstance(sink, OpcUaSink)
    state, control = running_station()
    try:
        sink.attach(state, request_handler_of(control))
        wait_for(lambda: answers(port), 60)
        yield sink, port, state, control
    finally:
        sink.close()


@contextmanager
def plant_at(port: int) -> Iterator[Plant]:
    with Client(f"opc.tcp://127.0.0.1:{port}/semedge/", timeout=10) as client:
        yield Plant(client)


@pytest.mark.fault(Fault.PART)
def test_the_heartbeat_pauses_with_a_fault_and_rises_again_after_it() -> None:
    with sink_of() as (_, port, state, control), plant_at(port) as plant:
        wait_for(lambda: plant.read("Heartbeat") > 0)
        control.fault = OSError(5, "Input/output error")
        wait_for(
            lambda: "Input/output error" in state.snapshot().faults.get("OPC UA sink plant", "")
        )
        paused = plant.read("Heartbeat")
        control.fault = None
        wait_for(lambda: plant.read("Heartbeat") > paused + 1)
        wait_for(lambda: state.snapshot().faults == {})


def number(value: int) -> ua.Variant:
    return ua.Variant(value, ua.VariantType.UInt32)


def test_a_client_reads_hears_and_catches_up() -> None:
    events = numbered(20)
    with sink_of() as (sink, port, state, _), plant_at(port) as plant:
        listener = Listener()
        subscription = plant.client.create_subscription(50, listener)
        kind = plant.client.nodes.base_event_type.get_child([f"{plant.index}:StationEventType"])
        subscription.subscribe_events(plant.root, kind)
        for event in events:
            sink.deliver(event)
        wait_for(lambda: len(listener.documents) == len(events))
        assert [Event.from_document(json.loads(each)) for each in listener.documents] == events
        assert set(listener.severities) == {800}
        missed = plant.call("EventsAfter", number(15))
        assert [json.loads(each)["number"] for each in missed] == [16, 17, 18, 19, 20]
        for row in STATION_NODES:
            plant.read(row.path)
        for row in CAMERA_NODES:
            plant.read(row.path, "top")
        wait_for(lambda: plant.read("Verdict") == "good")
        assert plant.read("LatestEvent/Number") == 20
        assert plant.read("VisionStateMachine/CurrentState", "top") == "Operational"
        assert plant.read("RecipeManagement/ActiveRecipe/ExternalId", "top") == "fibre"
        assert plant.read("RecipeManagement/Recipes", "top") == ["fibre", "tile", "broken"]
        assert plant.read("ConfigurationManagement/AlarmLevel", "top") == 9.8
        assert plant.read("ResultManagement/LatestResult/Score", "top") == 5.0
        state.change("top", activity="not inspecting", reason="The picture is frozen.")
        wait_for(lambda: plant.read("VisionStateMachine/CurrentState", "top") == "Error")
        assert plant.read("Verdict") == "not inspecting"
        subscription.delete()
        done, message = plant.call("SetLevels", "top", 12.0, 8.0)
        assert not done
        assert "accept_settings" in message
        with pytest.raises(ua.UaError):
            plant.root.get_child([f"{plant.index}:Armed"]).write_value(False)


def ids_below(node: Any) -> dict[str, str]:
    """Ids by path of everything below a node that the server added."""
    found = {}
    for child in node.get_children():
        if child.nodeid.NamespaceIndex != 0:
            name = child.read_browse_name().Name
            found[name] = child.nodeid.to_string()
            found |= {f"{name}/{below}": each for below, each in ids_below(child).items()}
    return found


def test_every_node_has_its_path_as_its_id() -> None:
    with sink_of() as (_, port, _, _), plant_at(port) as plant:
        ids = ids_below(plant.root)
        kind = plant.client.nodes.base_event_type.get_child([f"{plant.index}:StationEventType"])
        assert kind.nodeid.to_string() == f"ns={plant.index};s=StationEventType"
        assert plant.client.get_namespace_array()[1].endswith(":semedge:line%201")
        build = plant.client.get_node(ua.ObjectIds.Server_ServerStatus_BuildInfo).read_value()
        assert (build.ProductName, build.SoftwareVersion) == ("semedge", __version__)
    assert ids == {path: f"ns=2;s=Station/{path}" for path in ids}
    assert {"SetLevels/InputArguments", "VisionSystems/top/FramesLost", "Verdict"} <= set(ids)


def test_arguments_have_names_and_wrong_ones_a_status(caplog: pytest.LogCaptureFixture) -> None:
    with sink_of(accept_settings=True) as (_, port, _, _), plant_at(port) as plant:
        method = plant.root.get_child([f"{plant.index}:EventsAfter"])
        (argument,) = method.get_child(["0:OutputArguments"]).read_value()
        assert (argument.Name, argument.ValueRank) == ("Documents", 1)
        assert plant.call("EventsAfter", number(0)) == []
        for values, status in (
            ((), ua.uaerrors.BadArgumentsMissing),
            ((number(1), number(2)), ua.uaerrors.BadTooManyArguments),
            (("one",), ua.uaerrors.BadInvalidArgument),
            ((ua.Variant([1, 2], ua.VariantType.UInt32),), ua.uaerrors.BadInvalidArgument),
        ):
            with pytest.raises(status):
                plant.call("EventsAfter", *values)
        assert not plant.call("SetLevels", "top", math.nan, math.nan)[0]
        assert not plant.call("SetLevels", "no camera", 1.0, math.nan)[0]
    assert "Traceback" not in caplog.text


def test_the_handshake_and_settings() -> None:
    with (
        sink_of(handshake=True, accept_settings=True, timeout_s=0.4) as (
            sink,
            port,
            _,
            control,
        ),
        plant_at(port) as plant,
    ):
        with pytest.raises(DeliveryError, match=r"\b7\b.* 0\.4 s"):
            sink.deliver(EVENT)
        plant.call("TakeEvent", number(7))
        sink.deliver(EVENT)
        assert plant.call("SetLevels", "top", 12.5, math.nan)[0]
        assert plant.call("PrepareRecipe", "top", "tile")[0]
        assert plant.call("Acknowledge", EVENT.event_id)[0]
        frame_id = "ResultManagement/LatestResult/FrameId"
        wait_for(lambda: plant.read(frame_id, "top") != "")
        frame = plant.read(frame_id, "top")
        assert plant.call("MarkEvent", EVENT.event_id, "real", "seen at the line")[0]
        assert plant.call("MarkFrame", frame, "missed", "")[0]
        done, message = plant.call("MarkFrame", frame, "false-alarm", "")
        assert not done
        assert "can only be missed" in message
        done, message = plant.call("PrepareRecipe", "top", "broken")
        assert not done
        assert "damaged" in message
        who = "opcua plant"
        assert control.requests == [
            ("levels", "top", 12.5, None, who),
            ("recipe", "top", "tile", who),
            ("acknowledge", EVENT.event_id, who),
            ("mark", EVENT.event_id, "real", "seen at the line", who),
            ("mark", frame, "missed", "", who),
        ]
        begun_s = time.monotonic()
        sink.close()
        assert time.monotonic() - begun_s < 4, "with a client connected"


def certificate_of(folder: Path) -> tuple[Path, Path]:
    """A certificate as OPC UA wants one, and its key."""
    certificate, key = folder / "own.pem", folder / "own-key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=semedge", "-keyout", str(key), "-out", str(certificate)),
            *("-addext", "subjectAltName=URI:urn:semedge:test,IP:127.0.0.1"),
            *("-addext", "keyUsage=digitalSignature,keyEncipherment,dataEncipherment"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=True,
    )
    return certificate, key


def test_a_password_over_an_encrypted_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UA_PASSWORD", "pa ss")
    certificate, key = certificate_of(tmp_path)
    settings = {
        "certificate": certificate,
        "private_key": key,
        "username": "plant",
        "password": Secret(env="UA_PASSWORD"),
    }
    with sink_of(**settings) as (sink, port, _, _):
        sink.deliver(EVENT)
        for password, welcome in (("pa ss", True), ("wrong", False)):
            client = Client(f"opc.tcp://127.0.0.1:{port}/semedge/", timeout=10)
            client.set_user("plant")
            client.set_password(password)
            client.set_security_string(f"Basic256Sha256,SignAndEncrypt,{certificate},{key}")
            if welcome:
                with client:
                    assert Plant(client).read("LatestEvent/Number") == 7
            else:
                with pytest.raises(ua.UaError), client:
                    pass
        with pytest.raises(Exception), plant_at(port):  # noqa: B017, PT011
            pass


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"certificate": "c.pem"}, "plant .*certificate and private_key"),
        ({"username": "u"}, "plant .*username and password"),
        ({"username": "u", "password": Secret(env="X")}, "plant .*password .*certificate"),
    ],
)
def test_contradictory_settings_are_refused(settings: dict[str, Any], names: str) -> None:
    with pytest.raises(SemedgeError, match=names):
        OpcUaSection(**{"kind": "opcua", **settings}).open("plant")


def test_files_that_are_no_certificate_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.pem"
    file.write_text("no certificate")
    for certificate, reason in ((file, "PEM files"), (tmp_path / "gone", "No such file")):
        section = OpcUaSection(kind="opcua", certificate=certificate, private_key=file)
        with pytest.raises(SemedgeError, match=rf"plant .*{certificate} .*{reason}"):
            section.open("plant")


def test_nobody_waits_for_the_server_to_start() -> None:
    sink = OpcUaSection(kind="opcua", port=free_port()).open("plant")
    assert isinstance(sink, OpcUaSink)
    state, control = running_station()
    try:
        spent_s = time.thread_time()
        sink.attach(state, request_handler_of(control))
        assert time.thread_time() - spent_s < 0.1
        sink.deliver(EVENT)
    finally:
        sink.close()


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with (
            pytest.raises(SemedgeError, match=rf"port {port}\b.*free port"),
            sink_of(port=port),
        ):
            pass


@pytest.mark.fault(Fault.FLOOD)
def test_connections_that_open_no_session_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONNECTION_LIMITS, "max_connections", 5)
    monkeypatch.setitem(CONNECTION_LIMITS, "max_pending_activation_seconds", 2)
    with sink_of() as (_, port, _, _):
        wait_for(lambda: answers(port))
        crowd = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(20)]
        try:
            for each in crowd:
                each.settimeout(10)
                assert each.recv(1) == b""
        finally:
            for each in crowd:
                each.close()
        with plant_at(port) as plant:
            assert plant.read("Verdict") == "good"


def test_without_the_handshake_nobody_takes_an_event() -> None:
    with sink_of() as (sink, port, _, _), plant_at(port) as plant:
        plant.call("TakeEvent", number(7))
        assert sink._taken == 0

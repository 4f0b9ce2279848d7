"""What only some stations need is imported by those alone, and named where it is absent."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from station_support import request_handler_of, running_station

from semedge.core.errors import SemedgeError
from semedge.core.section import Secret
from semedge.journal.journal import Journal
from semedge.journal.reader import JournalReader
from semedge.sinks.apprise import AppriseSection
from semedge.sinks.modbus import ModbusSection
from semedge.sinks.mqtt import MqttSection
from semedge.sinks.opcua import OpcUaSection
from semedge.sinks.section import SinkSection
from semedge.sinks.webhook import WebhookSection
from semedge.web.section import WebSection
from semedge.web.server import PageServer


@pytest.mark.parametrize(
    ("section", "package", "extra"),
    [
        (AppriseSection(kind="apprise", addresses=Secret(env="X")), "apprise", "notify"),
        (ModbusSection(kind="modbus"), "pymodbus", "modbus"),
        (MqttSection(kind="mqtt", host="h"), "paho", "mqtt"),
        (OpcUaSection(kind="opcua"), "asyncua", "opcua"),
        (WebhookSection(kind="webhook", url="http://h/"), "httpx", "webhook"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_sink_names_the_extra_that_it_lacks(
    monkeypatch: pytest.MonkeyPatch, section: SinkSection, package: str, extra: str
) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(SemedgeError, match=rf"pip install 'semedge\[{extra}\]'\."):
        section.open("name")  # type: ignore[attr-defined]


@pytest.mark.parametrize("package", ["uvicorn", "fastapi"])
def test_the_page_names_the_extra_that_it_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    state, control = running_station()
    Journal(tmp_path / "j").close()
    with (
        JournalReader(tmp_path / "j") as journal,
        pytest.raises(SemedgeError, match=rf"{package}.*'semedge\[web\]'"),
    ):
        PageServer(WebSection(port=0), state, request_handler_of(control), journal, tmp_path)

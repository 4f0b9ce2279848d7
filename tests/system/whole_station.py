"""A whole station of real parts on one machine: `whole_station.py --folder F --defects 5`.

GenICam's simulated camera is inspected by `semedge watch`, whose journal tells an MQTT broker
(mosquitto), a webhook, a client of its OPC UA server, and its page in Chromium. The camera shows a
white sheet with a black square on it that moves about: the watch sees the upper part of the sheet,
so that the square is a defect that comes and goes. Specks of up to four pixels are normal.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import paho.mqtt.client as paho
from asyncua.sync import Client as OpcUaClient
from numpy.typing import NDArray
from playwright.sync_api import Page

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS)]

from bundles import fitted_bundle  # noqa: E402
from chromium import CHROMIUM, chromium  # noqa: E402
from processes import answers, free_port, process, python, wait_for  # noqa: E402

from semedge.core.event import Event  # noqa: E402
from semedge.sinks.opcua_nodes import NAMESPACE  # noqa: E402

SINKS = ("mqtt", "webhook", "opcua", "page")
TOKEN = "whole-station"
WIDTH_PX, HEIGHT_PX = 200, 400
SEEN_PX = 100
"""Rows at the upper edge of the camera's picture that are inspected."""

SPECK_PX = 3
RATE_HZ = 100
"""The square moves a pixel a frame: at this rate it is seen for 2 s, and away for 6 s."""

DEFECT_WITHIN_S = 20.0
LOOK_AT_S = 1.2
"""After the start of a defect, while it is still seen, and the page shows its frame."""
NOTE_WHEN_SHOWN = """
window.shown = {};
new MutationObserver(() => {
  for (const item of document.querySelectorAll("#events li"))
    window.shown[item.dataset.event] ??= Date.now() / 1000;
}).observe(document, {childList: true, subtree: true});
"""


def what_is_missing() -> str:
    """What must be installed first; empty where nothing must."""
    if shutil.which("mosquitto") is None:
        return "mosquitto is not installed: apt install mosquitto"
    if CHROMIUM is None:
        return "chromium is not installed: apt install chromium"
    try:
        import genicam  # noqa: F401
        import harvesters.core  # noqa: F401
    except ImportError as error:
        return f"{error}: pip install 'semedge[genicam]'"
    return ""


@dataclass
class Receivers:
    """All receivers, and when each first got an event, by this machine's clock."""

    events: dict[str, Event]
    heard_s: dict[str, dict[str, float]]
    requests: Path
    page: Page
    places: dict[str, str]

    def hear(self, sink: str, document: str) -> None:
        """Note that a sink brought an event's document now."""
        self.note(sink, Event.from_document(json.loads(document)), time.time())

    def note(self, sink: str, event: Event, at_s: float) -> None:
        """Note the start of a defect."""
        if (event.kind, event.phase) == ("defect", "start"):
            self.events.setdefault(event.event_id, event)
            self.heard_s[sink].setdefault(event.event_id, at_s)

    def look(self) -> None:
        """Read what those have noted that are other processes."""
        for line in self.requests.read_text().splitlines():
            request = json.loads(line)
            self.note("webhook", Event.from_document(json.loads(request["body"])), request["at_s"])
        self.heard_s["page"].update(self.page.evaluate("window.shown"))

    def known(self) -> set[str]:
        """Defects that any receiver has got so far."""
        self.look()
        return set().union(self.events, *self.heard_s.values())

    def next_defect(self, after: set[str]) -> tuple[Event, dict[str, float]]:
        """The next defect that all receivers got: its start, and seconds from its frame to each."""
        found: list[str] = []

        def received() -> bool:
            self.look()
            found[:] = [each for each in self.events if each not in after]
            return bool(found) and all(found[0] in heard for heard in self.heard_s.values())

        wait_for(received, DEFECT_WITHIN_S)
        event = self.events[found[0]]
        assert event.captured_at_s is not None
        return event, {
            sink: self.heard_s[sink][event.event_id] - event.captured_at_s for sink in SINKS
        }


@contextmanager
def whole_station(folder: Path, rate_hz: int = RATE_HZ) -> Iterator[Receivers]:
    """The station at work and all who listen to it; ended in order.

    Parameters
    ----------
    folder
        Everything is written there.
    rate_hz
        Frames a second of the camera.
    """
    folder.mkdir(parents=True, exist_ok=True)
    detector, calibration = _judges(folder)
    ports = {name: free_port() for name in SINKS}
    requests, station = folder / "requests.jsonl", folder / "semedge.toml"
    requests.touch()
    station.write_text(_station_file(detector, calibration, rate_hz, ports))
    with ExitStack() as stack:
        stack.enter_context(_broker(folder, ports["mqtt"]))
        argv = python("webhook_server.py", ports["webhook"], requests)
        stack.enter_context(process(argv, folder / "webhook.log", ports["webhook"]))
        stack.enter_context(_watch(station, folder / "watch.log", ports["page"]))
        receivers = Receivers(
            events={},
            heard_s={sink: {} for sink in SINKS},
            requests=requests,
            page=stack.enter_context(_browser(f"http://127.0.0.1:{ports['page']}/")),
            places={
                "station file": str(station),
                "log": str(folder / "watch.log"),
                "mqtt": f"mqtt://127.0.0.1:{ports['mqtt']}, topic semedge/sheet/event",
                "webhook": f"http://127.0.0.1:{ports['webhook']}/alerts, written to {requests}",
                "opcua": f"opc.tcp://127.0.0.1:{ports['opcua']}/semedge/",
                "page": f"http://127.0.0.1:{ports['page']}/, token {TOKEN}",
            },
        )
        stack.enter_context(_subscriber(ports["mqtt"], receivers))
        stack.enter_context(_plant(ports["opcua"], receivers))
        yield receivers


def _judges(folder: Path) -> tuple[Path, Path]:
    """A detector that is fitted to sheets with specks, and its calibration by the camera."""
    random = np.random.default_rng(1)
    detector = fitted_bundle(folder / "sheet.semedge", [_sheet(random) for _ in range(40)])
    calibration = folder / "sheet.json"
    subprocess.run(
        [
            *(sys.executable, "-m", "semedge", "calibrate", "--detector", str(detector)),
            *("--camera", _camera(), "--pixel-format", "Mono8", "--camera-rate-hz", str(RATE_HZ)),
            *("--feature", f"Width={WIDTH_PX}", "--feature", f"Height={SEEN_PX}"),
            *("--feature", f"BouncingBallSize={SPECK_PX}", "--frames", "40"),
            *("--false-alarm-rate", "0.1", "--out", str(calibration)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return detector, calibration


def _sheet(random: np.random.Generator) -> NDArray[np.uint8]:
    """A white sheet with three specks."""
    image = np.full((SEEN_PX, WIDTH_PX), 255, np.uint8)
    for _ in range(3):
        side = random.integers(1, SPECK_PX + 2)
        top, left = random.integers(0, SEEN_PX - side), random.integers(0, WIDTH_PX - side)
        image[top : top + side, left : left + side] = 0
    return image


def _camera() -> str:
    import genicam

    return f"genicam:{Path(genicam.__file__).with_name('viky.cti')}#0"


def _station_file(detector: Path, calibration: Path, rate_hz: int, ports: dict[str, int]) -> str:
    return f"""\
[station]
name = "sheet"

[camera]
source = "{_camera()}"
pixel_format = "Mono8"
frame_rate_hz = {rate_hz}
features = {{ Width = {WIDTH_PX}, Height = {HEIGHT_PX} }}
crop_bottom_px = {HEIGHT_PX - SEEN_PX}

[detector]
file = "{detector.name}"
workers = 1

[calibration]
file = "{calibration.name}"

[decision]
alarm = 50.0
warn = 20.0

[health]
# A clean sheet has nothing to be sharp, and looks the same in every frame.
sharpness_share = 0.0
frozen_after_s = 3600

[journal]
file = "journal.sqlite"
pictures = "pictures"

[web]
port = {ports["page"]}
token = {{ env = "PAGE_TOKEN" }}

[sinks.broker]
kind = "mqtt"
host = "127.0.0.1"
port = {ports["mqtt"]}

[sinks.mes]
kind = "webhook"
url = "http://127.0.0.1:{ports["webhook"]}/alerts"

[sinks.plant]
kind = "opcua"
port = {ports["opcua"]}
"""


def _broker(folder: Path, port: int) -> contextlib.AbstractContextManager[Any]:
    file = folder / "mosquitto.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    return process(["mosquitto", "-c", str(file)], folder / "mosquitto.log", port)


@contextmanager
def _watch(station: Path, log: Path, port: int) -> Iterator[None]:
    """`semedge watch`, ended as systemd ends it."""
    argv = [sys.executable, "-m", "semedge", "watch", "--station", str(station)]
    environment = {**os.environ, "PAGE_TOKEN": TOKEN}
    with process(argv, log, port, environment=environment, within_s=30) as running:
        yield
        running.terminate()
        if (status := running.wait(30)) != 0:
            raise AssertionError(f"the watch ended with {status}: {log.read_text()}")


@contextmanager
def _subscriber(port: int, receivers: Receivers) -> Iterator[None]:
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.on_connect = lambda *_: client.subscribe("semedge/sheet/event", qos=1)
    client.on_message = lambda _client, _data, message: receivers.hear(
        "mqtt", message.payload.decode()
    )
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield
    finally:
        client.disconnect()
        client.loop_stop()


class _OpcUaListener:
    def __init__(self, receivers: Receivers) -> None:
        self._receivers = receivers

    def event_notification(self, event: Any) -> None:
        """Called for each event of the subscription."""
        self._receivers.hear("opcua", event.Document)


@contextmanager
def _plant(port: int, receivers: Receivers) -> Iterator[None]:
    wait_for(lambda: answers(port), 60)
    with OpcUaClient(f"opc.tcp://127.0.0.1:{port}/semedge/", timeout=10) as client:
        index = client.get_namespace_index(NAMESPACE)
        root = client.nodes.objects.get_child([f"{index}:Station"])
        kind = client.nodes.base_event_type.get_child([f"{index}:StationEventType"])
        subscription = client.create_subscription(50, _OpcUaListener(receivers))
        subscription.subscribe_events(root, kind)
        yield
        subscription.delete()


@contextmanager
def _browser(address: str) -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.add_init_script(NOTE_WHEN_SHOWN)
        page.goto(address, wait_until="domcontentloaded")
        page.wait_for_selector("#live:not([hidden])", timeout=15_000)
        yield page


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default="station-demo")
@click.option("--defects", type=click.IntRange(min=0), default=5, help="0: until Ctrl-C.")
def main(folder: Path, defects: int) -> None:
    """Start the station, and print how soon each receiver hears of each defect."""
    if missing := what_is_missing():
        raise SystemExit(missing)
    measured: list[dict[str, float]] = []
    click.echo("Calibrating on the camera's normal frames, and starting everything.")
    with whole_station(folder.absolute()) as receivers:
        for name, place in receivers.places.items():
            click.echo(f"{name:14}{place}")
        click.echo("\nSeconds from the first frame of a defect to each receiver:")
        click.echo(f"{'defect':14}" + "".join(f"{sink:>10}" for sink in SINKS))
        known = receivers.known()
        with contextlib.suppress(KeyboardInterrupt):
            while not defects or len(measured) < defects:
                event, latency_s = receivers.next_defect(known)
                known.add(event.event_id)
                measured.append(latency_s)
                _print(f"frame {event.sequence}", latency_s)
                time.sleep(LOOK_AT_S)
                receivers.page.screenshot(path=folder / "page.png", full_page=True)
    if measured:
        _print("median", {sink: statistics.median(m[sink] for m in measured) for sink in SINKS})
        _print("longest", {sink: max(m[sink] for m in measured) for sink in SINKS})
        click.echo(f"Ended in order. The page's picture is {folder / 'page.png'}.")


def _print(name: str, latency_s: dict[str, float]) -> None:
    click.echo(f"{name:14}" + "".join(f"{latency_s[sink]:>10.3f}" for sink in SINKS))


if __name__ == "__main__":
    main()

"""`semedge test-alert`."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from semedge.core.console import print_json
from semedge.core.event import Event
from semedge.journal.journal import Journal
from semedge.sinks.base import Sink
from semedge.sinks.console import ConsoleSink
from semedge.sinks.registry import open_sinks
from semedge.station.config.station import load_station
from semedge.station.recorder import new_event


@dataclass(frozen=True)
class DeliveryResult:
    """The result of the delivery to a sink: `reason` is None where the sink accepted the event."""

    sink: str
    reason: str | None
    took_s: float


@click.command()
@click.option(
    "--station",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="SEMEDGE_STATION",
    required=True,
    metavar="FILE",
    help="The station file, whose sinks are tested.",
)
@click.option(
    "--timeout-s",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Longest wait for a sink.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def test_alert(ctx: click.Context, station: Path, timeout_s: float, as_json: bool) -> None:
    """Send a test event through every sink, and report which accept it.

    It can be sent while the station runs. The event has the kind `test`, and is stored in the
    station's journal where that exists. The exit status is 1 where a sink did not accept it.
    """
    read = load_station(station)
    sinks: list[Sink] = open_sinks(read.sinks)
    if not as_json:
        sinks.insert(0, ConsoleSink())
    event = new_event(
        read.station.name,
        "test",
        "test-alert",
        "This is a test of the alerts of this station; nothing has happened.",
    )
    outcomes = _send(event, sinks, read.journal.file, timeout_s)
    if as_json:
        print_json({"sinks": [asdict(outcome) for outcome in outcomes]})
    else:
        for outcome in outcomes:
            verdict = "accepted it" if outcome.reason is None else f"failed: {outcome.reason}"
            click.echo(f"{outcome.sink} {verdict} ({outcome.took_s:.2f} s)")
    ctx.exit(int(any(outcome.reason is not None for outcome in outcomes)))


def _send(
    event: Event, sinks: list[Sink], journal: Path | None, timeout_s: float
) -> list[DeliveryResult]:
    if journal is None or not journal.exists():
        return _deliver(replace(event, number=1), sinks, timeout_s)
    with Journal(journal) as opened:
        # Without a sink: the event is delivered here, not by a watch that may be running.
        return _deliver(opened.add_event(event, []), sinks, timeout_s)


def _deliver(event: Event, sinks: list[Sink], timeout_s: float) -> list[DeliveryResult]:
    """Deliver to all sinks at the same time, so that one that hangs delays no other."""
    outcomes: dict[str, DeliveryResult] = {}

    def deliver(sink: Sink) -> None:
        started_s = time.monotonic()
        reason = None
        try:
            sink.deliver(event)
        except Exception as error:  # every error of a sink is a result of the test
            reason = str(error) or type(error).__name__
        outcomes[sink.name] = DeliveryResult(sink.name, reason, time.monotonic() - started_s)
        sink.close()

    threads = [threading.Thread(target=deliver, args=(sink,), daemon=True) for sink in sinks]
    for thread in threads:
        thread.start()
    until_s = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
    late = f"it did not accept the event within {timeout_s:g} s"
    return [outcomes.get(sink.name, DeliveryResult(sink.name, late, timeout_s)) for sink in sinks]

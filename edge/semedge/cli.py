"""The command line: a group that imports a command only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from typing import Literal

import click

from semedge.core.errors import SemedgeError
from semedge.core.version import __version__

EDGE_COMMANDS = {
    "bench": "Measure how fast a detector is on this machine, and with how many workers.",
    "calibrate": "Set the threshold from normal frames, with a provable false-alarm rate.",
    "cameras": "List the cameras that are connected, and what to install for more.",
    "check": "Judge samples of known quality, and qualify the cameras that judge them correctly.",
    "collect": "Collect frames of a camera as lossless files.",
    "demo": "Learn a material and inspect its line, both simulated, in a minute or two.",
    "history": "Show events, scores and the audit trail of a journal, or export them.",
    "init": "Write a station file to start from, with every setting and its description.",
    "inspect": "Show what a detector bundle contains.",
    "install-service": "Write a systemd unit that keeps a station running.",
    "learn": "Learn a normal material from a camera or files, and write a recipe to watch with.",
    "mark": "Mark an alert as real or false, or a frame as a defect that was missed.",
    "recipe": "Pack detector, calibration and decision into one file for stations.",
    "score": "Score image files with a detector.",
    "test-alert": "Send a test event through every sink, and report which accept it.",
    "watch": "Watch a camera and raise alerts.",
}
TRAINER_COMMANDS = {
    "ablate": "Compute the thesis's tables 51-55: each detector with each stabilization.",
    "detectors": "List the detectors, their scores, and which of them the edge can run.",
    "evaluate": "Measure a detector on frames with defect masks.",
    "export": "Turn a training run into a detector bundle (TFLite).",
    "train": "Train a detector on normal frames.",
}


MAY_HANG = ("delivery-", "paho-mqtt")
"""Beginnings of the names of threads that wait for receivers of events."""


def _leave_cores_to_graphs() -> None:
    """Keep OpenBLAS, which reads this when NumPy is imported, on one thread.

    Its threads spin while they wait, and take the cores that the graphs' threads need.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class LazyGroup(click.Group):
    """Commands by name; `--help` reads the table above and imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of every command, sorted."""
        return sorted(EDGE_COMMANDS | TRAINER_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the module behind `name` and return its command."""
        if name in EDGE_COMMANDS:
            _leave_cores_to_graphs()
            module_name = name.replace("-", "_")
            module = importlib.import_module(f"semedge.commands.{module_name}")
            command: click.Command = getattr(module, module_name)
            return command
        if name in TRAINER_COMMANDS:
            # More than half of what `--help` would otherwise import.
            from importlib.metadata import entry_points

            for entry_point in entry_points(group="semedge.commands"):
                if entry_point.name == name:
                    loaded: click.Command = entry_point.load()
                    return loaded
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the two tables of the help page."""
        for title, commands in (
            ("At the line", EDGE_COMMANDS),
            ("Training (extra: train)", TRAINER_COMMANDS),
        ):
            with formatter.section(title):
                formatter.write_dl(sorted(commands.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="semedge")
@click.option(
    "--log",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    envvar="SEMEDGE_LOG",
    help="How stderr is written: sentences, or one JSON document a line.",
)
def cli(log: str) -> None:
    """Inspect a production line through a camera.

    semedge learns from good frames alone what normal material looks like, and raises an alert
    where a frame is anomalous.

    Exit status: 0 success; 1 failure; 2 wrong usage; 3 refused, because the data cannot support
    the request.
    """
    # Not imported for `--help`.
    from semedge.core.logs import write_json_lines, write_text

    if log == "json":
        write_json_lines()
    else:
        write_text(also_elsewhere=False)


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence, never in a traceback."""
    try:
        status = cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        _log("info", "Stopped.", "stopped")
        sys.exit(1)
    except SemedgeError as error:
        _log("error", str(error), "failed")
        _leave(error.exit_status)
    _leave(status if isinstance(status, int) else 0)


def _leave(status: int) -> None:
    """End the process, without waiting for a receiver that hangs, as in the look-up of a name."""
    if any(each.name.startswith(MAY_HANG) for each in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _log(level: Literal["info", "error"], message: str, event: str) -> None:
    import logging

    getattr(logging.getLogger(__name__), level)(message, extra={"event": event})

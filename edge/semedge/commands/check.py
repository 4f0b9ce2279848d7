"""`semedge check`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from semedge.core.console import print_json
from semedge.core.errors import SemedgeError
from semedge.journal.journal import Journal
from semedge.station.camera_setup import Setup
from semedge.station.challenge import ChallengeResult, ChallengeSettings, run_challenge
from semedge.station.config.sections import ChallengeSection
from semedge.station.config.station import Station, load_station
from semedge.station.load import Defaults, LineChoice, choose_lines
from semedge.station.overrides import load_with_overrides
from semedge.station.qualification import note_challenge
from semedge.station.recorder import new_event


@click.command()
@click.option(
    "--station",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="SEMEDGE_STATION",
    required=True,
    metavar="FILE",
    help="The station file, with a table `[challenge]`.",
)
@click.option("--camera", metavar="NAME", help="Only this camera; all where absent.")
@click.option("--golden", type=click.Path(path_type=Path), help="Good samples instead.")
@click.option("--defects", type=click.Path(path_type=Path), help="Bad samples instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def check(
    ctx: click.Context,
    station: Path,
    camera: str | None,
    golden: Path | None,
    defects: Path | None,
    as_json: bool,
) -> None:
    """Judge samples of known quality, and arm the station if they are judged rightly.

    Each camera's samples are judged by what is in force for it now, recipes and levels that were
    set at run time included. The result is an event of the kind `check` and stands in the journal;
    a watch with --require-check, running or not, judges with that and nothing else. Exit status 1
    where a camera did not pass.
    """
    read = load_station(station)
    if read.journal.file is None:
        raise SemedgeError(f"{station} names no journal to note the result in; give journal.file.")
    choices = {choice.name: choice for choice in choose_lines(read, _defaults(read))}
    if camera is not None and camera not in choices:
        raise SemedgeError(f"There is no camera {camera!r}; {station} has {', '.join(choices)}.")
    results = {}
    with Journal(read.journal.file) as journal:
        for name in [camera] if camera else choices:
            settings = _settings(_section(read, name), golden, defects)
            results[name] = _check(read, journal, choices[name], settings)
    if as_json:
        print_json({name: asdict(result) for name, result in results.items()})
    else:
        for name, result in results.items():
            click.echo(f"{name}: {result.sentence()}")
    ctx.exit(int(not all(result.passed for result in results.values())))


def _check(
    station: Station, journal: Journal, choice: LineChoice, settings: ChallengeSettings
) -> ChallengeResult:
    setup = load_with_overrides(journal, choice)
    try:
        result = run_challenge(setup, settings)
        _note(station, journal, choice.name, setup, result)
    finally:
        setup.detector.close()
    return result


def _note(
    station: Station, journal: Journal, camera: str, setup: Setup, result: ChallengeResult
) -> None:
    event = new_event(
        station.station.name,
        "check",
        "passed" if result.passed else "failed",
        result.sentence(),
        camera=camera,
        level=None if result.passed else "alarm",
        details={
            "golden": result.golden,
            "defects": result.defects,
            "alarmed": len(result.alarmed),
            "missed": len(result.missed),
        },
    )
    journal.add_event(event, ["console", *station.sinks])
    note_challenge(journal, camera, setup.active_setup, passed=result.passed)


def _defaults(station: Station) -> Defaults:
    """What `watch` takes from the file where its command line says nothing."""
    options = station.options()
    return Defaults(
        camera=options.get("camera"),
        timeout_s=options.get("timeout_s", 10.0),
        loop=options.get("loop", False),
        detector=options.get("detector"),
        stride_px=options.get("stride"),
        workers=options.get("workers"),
        calibration=options.get("calibration"),
        recipe=options.get("recipe"),
    )


def _section(station: Station, camera: str) -> ChallengeSection:
    line = station.cameras.get(camera)
    return station.challenge if line is None or line.challenge is None else line.challenge


def _settings(
    section: ChallengeSection, golden: Path | None, defects: Path | None
) -> ChallengeSettings:
    golden, defects = golden or section.golden, defects or section.defects
    if golden is None or defects is None:
        raise SemedgeError(
            "A challenge set has good and bad samples; name their folders as challenge.golden and "
            "challenge.defects in the station file."
        )
    return ChallengeSettings(golden, defects, section.most_golden_alarms, section.least_found)

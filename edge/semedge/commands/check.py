"""`semedge check`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from semedge.commands.setting_options import GivenSettings, pass_given, setting_option
from semedge.commands.station_options import environment_settings
from semedge.core.console import print_json
from semedge.core.errors import SemedgeError
from semedge.journal.journal import Journal
from semedge.station.camera_plan import CameraPlan, plan_cameras
from semedge.station.camera_setup import CameraSetup
from semedge.station.challenge import ChallengeResult, ChallengeSettings, run_challenge
from semedge.station.config.station import Station, load_station
from semedge.station.overrides import load_with_overrides
from semedge.station.qualification import record_challenge
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
@click.option("--camera", metavar="NAME", help="Only this camera; by default all.")
@setting_option(ChallengeSettings, "golden", "--golden")
@setting_option(ChallengeSettings, "defects", "--defects")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_given
@click.pass_context
def check(
    ctx: click.Context, given: GivenSettings, station: Path, camera: str | None, as_json: bool
) -> None:
    """Judge samples of known quality, and qualify the cameras that judge them correctly.

    Each camera judges its samples by its active setup: the station file, the SEMEDGE_* variables
    that a watch uses, and recipes and levels that were set at run time. Samples are cropped as its
    frames are, and regions that are left out are not judged. The result is recorded in the journal,
    as an event of the kind `check`. A watch with --require-check, running or not, judges only with
    a setup that has passed. The exit status is 1 where a camera did not pass.
    """
    read = environment_settings().over(load_station(station))
    if read.journal.file is None:
        raise SemedgeError(
            f"{station} names no journal to record the result in; give journal.file."
        )
    plans = {plan.name: plan for plan in plan_cameras(read)}
    if camera is not None and camera not in plans:
        raise SemedgeError(f"There is no camera {camera!r}; {station} has {', '.join(plans)}.")
    results = {}
    with Journal(read.journal.file) as journal:
        for name in [camera] if camera else plans:
            settings = given.over(_challenge(read, name))
            results[name] = _check(read, journal, plans[name], settings)
    if as_json:
        print_json({name: asdict(result) for name, result in results.items()})
    else:
        for name, result in results.items():
            click.echo(f"{name}: {result.sentence()}")
    ctx.exit(int(not all(result.passed for result in results.values())))


def _check(
    station: Station, journal: Journal, plan: CameraPlan, settings: ChallengeSettings
) -> ChallengeResult:
    setup = load_with_overrides(journal, plan)
    try:
        result = run_challenge(setup, settings)
        _record(station, journal, plan.name, setup, result)
    finally:
        setup.detector.close()
    return result


def _record(
    station: Station, journal: Journal, camera: str, setup: CameraSetup, result: ChallengeResult
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
    record_challenge(journal, camera, setup.active_setup, passed=result.passed)


def _challenge(station: Station, camera: str) -> ChallengeSettings:
    section = station.cameras.get(camera)
    own = None if section is None else section.challenge
    return own or station.challenge

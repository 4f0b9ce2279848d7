"""`semedge mark`."""

from __future__ import annotations

import getpass
import logging
import re
from pathlib import Path

import click
from pydantic import ValidationError

from semedge.commands.journal_options import check_journal, journal_options
from semedge.core.mark import FRAME_ID, LONGEST_NOTE, GivenMark
from semedge.core.view import WHOLE, ViewSettings
from semedge.journal.journal import Journal
from semedge.journal.marked_frames import MarkedFrames
from semedge.journal.records import DEFAULT_JOURNAL
from semedge.state.requests import MarkRequest
from semedge.station.config.sections import DEFAULT_PICTURES
from semedge.station.config.station import Station, load_station
from semedge.station.marking import Marker
from semedge.web.client import NoStationError, send_request

logger = logging.getLogger(__name__)

EVENT_ID = r"^[0-9a-f]{32}$"


@click.command()
@click.argument("subject", metavar="EVENT_ID|FRAME")
@click.option("--real", "mark", flag_value="real", help="The alert is a defect.")
@click.option("--false-alarm", "mark", flag_value="false-alarm", help="The alert is no defect.")
@click.option(
    "--missed", "mark", flag_value="missed", help="The frame shows a defect that raised no alert."
)
@click.option("--take-back", "mark", flag_value="none", help="Take an earlier mark back.")
@journal_options("The station file; where the station runs and has a page, it is asked to mark.")
@click.option(
    "--pictures",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="SEMEDGE_PICTURES",
    show_default=str(DEFAULT_PICTURES),
    metavar="DIR",
    help="The folder of the pictures, in place of a station file.",
)
@click.option("--note", default="", help=f"A note, at most {LONGEST_NOTE} characters.")
@click.option(
    "--who",
    default=getpass.getuser,
    metavar="NAME",
    help="Name beside the mark; by default the user of this machine.",
)
def mark(
    subject: str,
    mark: GivenMark | None,
    station: Path | None,
    journal: Path | None,
    pictures: Path | None,
    note: str,
    who: str,
) -> None:
    """Mark an alert as real or as a false alarm, or one of the last frames as a missed defect.

    EVENT_ID is the id of an alert, as `semedge history` lists it. FRAME is the id of a frame, as
    the page and the state show it. The frame is kept with its mark, to learn from it. A mark may be
    changed: the last one counts, and `semedge history marks` shows all of them.
    """
    if mark is None:
        raise click.UsageError("Give --real, --false-alarm, --missed or --take-back.")
    request = _request(subject, mark, note)
    if station is not None and (journal is not None or pictures is not None):
        # The variables of a station's environment stand beside its file, and the file wins here.
        journal = pictures = None
    read = Station() if station is None else load_station(station)
    if read.web is not None and (read.web.token or read.web.operator_token):
        asked = {**request.model_dump(exclude_none=True), "who": who}
        try:
            logger.info(send_request(read.web, asked))
        except NoStationError as error:
            if request.event_id is None:
                raise
            logger.info(f"{error} The mark is written to the journal itself.")
        else:
            return
    logger.info(_mark_in_journal(request, read, journal, pictures, who))


def _request(subject: str, mark: GivenMark, note: str) -> MarkRequest:
    name = next(
        (
            name
            for name, pattern in (("event_id", EVENT_ID), ("frame", FRAME_ID))
            if re.match(pattern, subject)
        ),
        None,
    )
    if name is None:
        raise click.UsageError(
            "Give the event_id of an alert, 32 hexadecimal digits, or a frame such as "
            f"camera-20261124T060000.000000-417. Received: {subject!r:.80}"
        )
    try:
        return MarkRequest.model_validate(
            {"action": "mark", name: subject, "mark": mark, "note": note}
        )
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        reason = fault["msg"].removeprefix("Value error, ")
        raise click.UsageError(f"{subject} cannot have this mark: {reason}.") from None


def _mark_in_journal(
    request: MarkRequest, read: Station, journal: Path | None, pictures: Path | None, who: str
) -> str:
    path = check_journal(journal or read.journal.file or DEFAULT_JOURNAL)
    folder = pictures or read.journal.pictures or DEFAULT_PICTURES

    def view_of_camera(camera: str) -> ViewSettings:
        if camera in read.cameras:
            return read.cameras[camera].settings
        return WHOLE if read.cameras else read.camera.settings

    with Journal(path) as opened:
        marked = MarkedFrames(folder, read.marks.most_bytes)
        marker = Marker(opened, marked, view_of_camera=view_of_camera)
        return marker.mark(request, f"mark: {who}")

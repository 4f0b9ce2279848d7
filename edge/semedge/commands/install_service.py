"""`semedge install-service`."""

from __future__ import annotations

import grp
import logging
import pwd
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.core.section import Secret
from semedge.station.config.station import Station, load_station
from semedge.station.systemd_unit import Service, verify_unit

logger = logging.getLogger(__name__)

CAMERA_GROUPS = ("video", "plugdev")
"""Groups that own V4L2 and USB cameras, on the distributions that have them."""

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("install-service")
@click.option(
    "--station",
    type=FILE,
    required=True,
    envvar="SEMEDGE_STATION",
    metavar="FILE",
    help="The station file that the service runs with.",
)
@click.option(
    "--name", default="semedge", show_default=True, metavar="NAME", help="Name of the service."
)
@click.option(
    "--user",
    default="semedge",
    show_default=True,
    metavar="USER",
    help="User that it runs as; any user but root.",
)
@click.option(
    "--secrets",
    type=FILE,
    metavar="FILE",
    help="A file of NAME=value lines with passwords and tokens, read by systemd alone.",
)
@click.option("--json-logs", is_flag=True, help="Let the service write JSON lines to the log.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default="/etc/systemd/system",
    show_default=True,
    metavar="DIR",
    help="Folder that the unit is written to.",
)
@click.option("--print", "only_print", is_flag=True, help="Print the unit and write nothing.")
def install_service(
    station: Path,
    name: str,
    user: str,
    secrets: Path | None,
    json_logs: bool,
    folder: Path,
    only_print: bool,
) -> None:
    """Write a systemd unit that keeps a station running.

    The service starts with the machine, is restarted when it fails or hangs, can write only to its
    journal, pictures and recipes, and has no privileges. Systemd checks the unit before it is
    written.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise click.UsageError(
            f"A service cannot have the name {name!r}; use letters, digits, '.', '_' and '-'."
        )
    station = station.absolute()
    read = load_station(station)
    secrets = _checked_secrets(secrets)
    _warn_of_missing(read, secrets)
    service = Service(
        name=name,
        command=(
            *(sys.executable, "-m", "semedge", "--log", "json" if json_logs else "text"),
            *("watch", "--station", str(station)),
        ),
        station=station,
        user=_checked_user(user),
        groups=_existing_groups(),
        writable=_folders(read),
        secrets=secrets,
    )
    unit = service.unit()
    faults = verify_unit(name, unit)
    if faults:
        raise SemedgeError(f"systemd does not accept the unit: {faults.splitlines()[0]}")
    if only_print:
        click.echo(unit, nl=False)
        return
    path = folder / f"{name}.service"
    write_atomically(path, unit.encode())
    checked = "unchecked, since systemd-analyze is not installed" if faults is None else "checked"
    logger.info(f"Wrote {path} ({checked}). Start it now and with the machine by:")
    logger.info(f"  systemctl daemon-reload && systemctl enable --now {name}")


def _checked_user(user: str) -> str:
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise SemedgeError(
            f"This machine has no user {user}; create one with `useradd --system --user-group "
            f"{user}`, or choose another with --user."
        ) from None
    if entry.pw_uid == 0:
        raise SemedgeError(
            f"The user {user} has all privileges, and a station needs none; choose another user."
        )
    return user


def _existing_groups() -> list[str]:
    known = {group.gr_name for group in grp.getgrall()}
    return [name for name in CAMERA_GROUPS if name in known]


def _checked_secrets(secrets: Path | None) -> Path | None:
    """The file, after a check that others cannot access it."""
    if secrets is None:
        return None
    secrets = secrets.absolute()
    try:
        mode = secrets.stat().st_mode
    except OSError as error:
        raise SemedgeError(
            f"The file of secrets {secrets} cannot be read ({error.strerror}); create it with mode "
            "0600."
        ) from error
    if mode & 0o007:
        raise SemedgeError(
            f"Everyone on this machine can access the file of secrets {secrets} (mode "
            f"{mode & 0o777:04o}); run `chmod 600 {secrets}`."
        )
    return secrets


def _warn_of_missing(station: Station, secrets: Path | None) -> None:
    """Report which variables the station file names, and the service would not have."""
    given = set()
    if secrets is not None:
        lines = secrets.read_text(encoding="utf-8", errors="replace").splitlines()
        given = {line.partition("=")[0].strip() for line in lines if "=" in line}
    missing = [name for name in dict.fromkeys(_variables(station)) if name not in given]
    if not missing:
        return
    where = (
        "give a file of mode 0600 that sets them with --secrets"
        if secrets is None
        else f"add them to {secrets}"
    )
    logger.warning(
        f"The station file names secrets in variables that the service will not have: "
        f"{', '.join(missing)}; {where}.",
        extra={"event": "secrets-missing"},
    )


def _variables(section: Any) -> Iterator[str]:
    """Variables that a section and those in it name for secrets."""
    if isinstance(section, Secret):
        if section.env is not None:
            yield section.env
    elif isinstance(section, BaseModel):
        for name in type(section).model_fields:
            yield from _variables(getattr(section, name))
    elif isinstance(section, (list, tuple)):
        for each in section:
            yield from _variables(each)
    elif isinstance(section, dict):
        yield from _variables(list(section.values()))


def _folders(station: Station) -> list[Path]:
    """Folders that the station writes to in addition to its own; each must exist."""
    journal = station.journal
    folders = [
        *([journal.file.absolute().parent] if journal.file is not None else []),
        *([journal.pictures.absolute()] if journal.pictures is not None else []),
    ]
    for folder in folders:
        if not folder.is_dir():
            raise SemedgeError(
                f"The station writes to the folder {folder}, which does not exist; create it, "
                "owned by the user of the service."
            )
    # What is taught on the page is saved among the recipes.
    recipes = station.station.recipes
    if recipes is not None and recipes.is_dir():
        folders.append(recipes.absolute())
    return list(dict.fromkeys(folders))

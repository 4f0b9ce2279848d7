"""The systemd unit of a station: restarted when it fails or hangs, and sandboxed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from semedge.core.errors import SemedgeError

WATCHDOG_S = 60
"""Longer than any wait of the loop, which waits for a stalled camera in shorter steps."""

VERIFY_TIMEOUT_S = 30.0

UNIT = """\
[Unit]
Description=semedge inspection station ({station})
Wants=network-online.target
After=network-online.target time-sync.target
# Restarted without limit: the cable may be plugged in tomorrow.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
User={user}
{optional}WorkingDirectory=/var/lib/{name}
StateDirectory={name}
StateDirectoryMode=0750
UMask=0027

# Started again after a failure or a hang, but not where settings (2) or data (3) must change first.
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2 3
WatchdogSec={watchdog_s}
TimeoutStartSec=120
TimeoutStopSec=10
KillMode=mixed
OOMScoreAdjust=-500
# A leak ends this service before it ends the others, and is restarted.
MemoryMax=75%
LimitNOFILE=16384

# Writes only to its journal and pictures, and opens only cameras and sockets.
ReadWritePaths={writable}
ProtectSystem=strict
ProtectHome={protect_home}
PrivateTmp=yes
DevicePolicy=closed
DeviceAllow=char-video4linux rw
DeviceAllow=char-usb_device rw
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Service:
    """The values in a unit.

    Attributes
    ----------
    name
        Name of the unit and of its folder below `/var/lib`, its working directory.
    command
        The program to run, with its arguments.
    station
        The station file.
    user, groups
        The user that it runs as, and further groups: those that own cameras.
    writable
        Folders that it writes to in addition to its own.
    secrets
        A file of `NAME=value` lines that only root and the user can read; None for none.
    """

    name: str
    command: Sequence[str]
    station: Path
    user: str
    groups: Sequence[str] = ()
    writable: Sequence[Path] = ()
    secrets: Path | None = None

    def unit(self) -> str:
        """The unit file's text."""
        reached = [self.station, *self.writable, *map(Path, self.command[:1])]
        at_home = any(path.is_relative_to(home) for path in reached for home in ("/home", "/root"))
        return UNIT.format(
            name=self.name,
            station=_escaped(str(self.station)),
            command=" ".join(_quoted(word) for word in self.command),
            user=self.user,
            optional="".join(f"{line}\n" for line in self._optional_lines()),
            watchdog_s=WATCHDOG_S,
            writable=" ".join(_quoted(str(path)) for path in self.writable),
            protect_home="read-only" if at_home else "yes",
        )

    def _optional_lines(self) -> list[str]:
        lines = []
        if self.groups:
            lines.append(f"SupplementaryGroups={' '.join(self.groups)}")
        if self.secrets is not None:
            lines.append(f"EnvironmentFile={_escaped(str(self.secrets))}")
        return lines


def verify_unit(name: str, unit: str) -> str | None:
    """Faults of the unit that `systemd-analyze verify` finds; None where it is not installed.

    Its exit status is not enough: an unknown key gives 0 and a line on stderr.
    """
    program = shutil.which("systemd-analyze")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.service"
        file.write_text(unit, encoding="utf-8")
        try:
            result = subprocess.run(
                [program, "verify", str(file)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=VERIFY_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
    return result.stderr.strip()


def _escaped(text: str) -> str:
    """`text` as a literal value of a unit, without quotes."""
    if not text.isprintable():
        raise SemedgeError(
            f"{text!r} has a character that a systemd unit cannot contain; rename the file."
        )
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """`word` as one word of a unit's list or command, without any expansion."""
    escaped = _escaped(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"' if set(word) & set(" \t'\"\\;") else escaped

"""The systemd unit that keeps a station running."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

import pytest
from commandcall import Call

from semedge.station.systemd_unit import verify_unit

USER = "games"
"""A user of every Debian machine that is neither root nor nobody."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def station(tmp_path: Path) -> Path:
    """A station file whose name has what a unit would otherwise expand."""
    folder = tmp_path / 'the "line" 100% $HOME'
    (folder / "pictures").mkdir(parents=True)
    file = folder / "semedge.toml"
    file.write_text(
        '[camera]\nsource = "sim:1"\n[journal]\nfile = "j.sqlite"\npictures = "pictures"\n'
    )
    return file


def directives(unit: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and line[0] != "#")


@needs_systemd
def test_systemd_accepts_the_unit(call: Call, station: Path, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text("TOKEN=1\n")
    secrets.chmod(0o600)
    result = call(
        *("install-service", "--station", station, "--user", USER, "--name", "line-1"),
        *("--folder", tmp_path, "--secrets", secrets, "--json-logs"),
    )
    assert result.status == 0, result.err
    assert "(checked)" in result.err
    unit = (tmp_path / "line-1.service").read_text()
    assert verify_unit("line-1", unit) == ""
    found = directives(unit)
    folder = f'"{tmp_path}/the \\"line\\" 100%% $$HOME'
    assert found["ExecStart"].endswith(
        f' -m semedge --log json watch --station {folder}/semedge.toml"'
    )
    assert found["EnvironmentFile"] == str(secrets)
    assert found["StateDirectory"] == "line-1"
    assert found["Type"] == "notify"
    assert found["CapabilityBoundingSet"] == ""
    assert found["ReadWritePaths"] == f'{folder}" {folder}/pictures"'


@needs_systemd
def test_an_unknown_key_is_found() -> None:
    faults = verify_unit("x", "[Service]\nExecStart=/bin/true\nProtectSytem=strict\n")
    assert faults is not None
    assert "ProtectSytem" in faults


def test_print_writes_nothing(call: Call, station: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = call("install-service", "--station", station, "--user", USER, "--print")
    assert result.status == 0, result.err
    assert result.out.startswith("[Unit]\n")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (["--user", "nobody-of-that-name"], "no user nobody-of-that-name"),
        (["--user", "root"], "user root "),
        (["--secrets", "missing"], "missing cannot be read (No such file"),
        (["--name", "../cron"], "'../cron'"),
    ],
)
def test_what_is_wrong_is_reported(
    call: Call, station: Path, arguments: list[str], values: str
) -> None:
    result = call("install-service", "--station", station, "--user", USER, *arguments)
    assert result.status in (1, 2)
    assert values in result.err
    assert result.out == ""


def test_secrets_that_everyone_can_read_are_refused(
    call: Call, station: Path, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text("TOKEN=1\n")
    secrets.chmod(0o644)
    result = call("install-service", "--station", station, "--user", USER, "--secrets", secrets)
    assert result.status == 1
    assert f"(mode 0644); run `chmod 600 {secrets}`" in result.err


@pytest.mark.parametrize(
    ("content", "missing"),
    [(None, "MAIL_PASSWORD, PAGE"), ("MAIL_PASSWORD=1\n# PAGE\n", ": PAGE;"), ("PAGE=1\n", None)],
)
def test_secrets_that_the_service_would_not_have_are_named(
    call: Call, station: Path, tmp_path: Path, content: str | None, missing: str | None
) -> None:
    mail = "" if missing is None else 'username = "u"\npassword = { env = "MAIL_PASSWORD" }\n'
    sink = f'[sinks.broker]\nkind = "mqtt"\nhost = "h"\n{mail}'
    station.write_text(f'{station.read_text()}[web]\ntoken = {{ env = "PAGE" }}\n{sink}')
    given = []
    if content is not None:
        secrets = tmp_path / "secrets"
        secrets.write_text(content)
        secrets.chmod(0o600)
        given = ["--secrets", secrets]
    result = call("install-service", "--station", station, "--user", USER, "--print", *given)
    assert result.status == 0, result.err
    assert ("will not have" in result.err) is (missing is not None)
    assert (missing or "") in result.err


def test_the_service_may_write_recipes(call: Call, station: Path) -> None:
    (station.parent / "recipes").mkdir()
    station.write_text(f'[station]\nrecipes = "recipes"\n{station.read_text()}')
    result = call("install-service", "--station", station, "--user", USER, "--print")
    assert directives(result.out)["ReadWritePaths"].endswith('/recipes"')


def test_a_folder_that_is_not_there_is_named(call: Call, tmp_path: Path) -> None:
    station = tmp_path / "semedge.toml"
    station.write_text('[journal]\nfile = "gone/j.sqlite"\n')
    result = call("install-service", "--station", station, "--user", USER)
    assert result.status == 1
    assert f"folder {tmp_path}/gone" in result.err


def test_the_user_of_these_tests_exists() -> None:
    assert pwd.getpwnam(USER).pw_uid != os.geteuid()
